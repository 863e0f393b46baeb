from django.apps import AppConfig

from exchange import checks

__all__ = ["ExchangeConfig", "checks"]


class ExchangeConfig(AppConfig):
    name = "exchange"
