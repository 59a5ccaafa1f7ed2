"""The ASGI shell: connections, bodies, threads, streams, drain. No Flask, no driver."""
