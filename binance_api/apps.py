"""The application of the routes that Binance's clients know."""

from importlib import import_module

from django.apps import AppConfig

from base.web.dialects import register


class BinanceApi(AppConfig):
    name = "binance_api"

    def ready(self) -> None:
        # Imported here, because it imports models, which are not loaded before.
        calls = import_module("binance_api.calls")
        register(calls.DIALECT)
