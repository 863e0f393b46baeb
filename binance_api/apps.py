"""The application of the routes that Binance's clients know."""

from django.apps import AppConfig


class BinanceApi(AppConfig):
    name = "binance_api"
