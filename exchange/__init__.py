"""The project: settings, entry points, and the small leaves that every app shares."""

from exchange.celery import app as celery_app

__all__ = ["celery_app"]
