"""`demijohn serve`: a light process that owns the sockets, the workers and the embedded database.

::

    serve.py     the assembly: read the limits, bind, run, exit code
    loop.py      waits for signals, for bytes and for deadlines; no threads, no polling
    sockets.py   the listening sockets, shared by all workers
    workers.py   the worker processes: started, replaced, drained
    worker.py    the worker process: its entry, and what is left out of it
    serving.py   what it does from its start to its end
    embedded.py  the embedded database: started, restarted, stopped
    datadir.py   where it keeps its files: lock, password, log
    cpu.py       what a container may use
    metrics_dir.py  where the workers add up their metrics
    server.py    the embedded database as a program: where it is, how it is ended
    backoff.py   how long to wait before the next try
    banner.py    what a person or a log is told once it runs
    failure.py   why it does not run

The launcher serves no request: all but serving.py do without Flask, the driver and uvicorn.
"""
