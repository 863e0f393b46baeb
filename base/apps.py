from django.apps import AppConfig

from base.storage import checks

__all__ = ["BaseConfig", "checks"]


class BaseConfig(AppConfig):
    name = "base"
