"""The permission to see how the exchange works, which belongs to no table."""

from django.db import models


class Operations(models.Model):
    """No rows. It gives `operations.view` its place."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("view", "Can see how the exchange works")]
