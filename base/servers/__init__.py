"""What stands around the servers that clients reach: no client keeps a thread, or all connections, for itself.

A request takes a thread when it has arrived as a whole, and it must have arrived within `REQUEST_SECONDS`:
`gunicorn_worker` sees to it for REST, `uvicorn_protocol` and `bodies` for the streams and for REST beside them. nginx
does the same in front of both.
"""
