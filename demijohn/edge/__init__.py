"""What both entrances, the ASGI shell and plain WSGI, must do with every request alike."""
