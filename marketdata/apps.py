"""The application of what everybody may see of a market."""

from importlib import import_module

from django.apps import AppConfig

from base.web.dialects import register


class MarketData(AppConfig):
    name = "marketdata"

    def ready(self) -> None:
        # Imported here, because it imports models, which are not loaded before.
        register(import_module("marketdata.udf").DIALECT)
