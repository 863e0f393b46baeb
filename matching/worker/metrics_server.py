"""A worker's own counters over HTTP, for Prometheus: there is no web server in it that could answer /metrics."""

from typing import Any

from celery import bootsteps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import start_http_server

from base.telemetry.metrics import registry


class MetricsServer(bootsteps.StartStopStep):
    """Listens on METRICS_PORT, in a thread, from the worker's start to its end."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self.enabled = bool(settings.METRICS_PORT)
        self.server: Any = None

    def start(self, worker: Any) -> None:
        try:
            self.server, _ = start_http_server(settings.METRICS_PORT, registry=registry())
        except OSError as error:
            raise ImproperlyConfigured(f"METRICS_PORT {settings.METRICS_PORT} cannot be used: {error}") from error

    def stop(self, parent: Any) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    terminate = stop
