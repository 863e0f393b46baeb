"""Django's admin with the site of this exchange."""

from django.contrib.admin.apps import AdminConfig


class OperatorsAdmin(AdminConfig):
    default_site = "operations.site.OperatorsSite"
