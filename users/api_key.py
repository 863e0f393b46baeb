"""The row of an API key."""

from django.conf import settings
from django.db import models

from base.storage.fields import KeyField
from base.web.keys.known import KEY_ID_LENGTH
from base.web.keys.signed import Algorithm

LABEL_LENGTH = 64


class Ending(models.TextChoices):
    """What ended a key."""

    OWNER = "OWNER"
    OPERATOR = "OPERATOR"
    BLOCKED = "BLOCKED"
    DEACTIVATED = "DEACTIVATED"


class ApiKey(models.Model):
    """By it requests are signed in its owner's name. It is never changed, only revoked, and then its secret is gone."""

    key_id = KeyField(max_length=KEY_ID_LENGTH, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=LABEL_LENGTH)
    algorithm = models.CharField(max_length=8, choices=[(each.value, each.value) for each in Algorithm])
    # Of HMAC encrypted by `base.web.keys.secrets`; of Ed25519 the public key, in hex.
    secret = models.CharField(max_length=255)
    scopes = models.JSONField()
    # Networks as texts; none: from anywhere.
    addresses = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    # To the minute.
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=12, choices=Ending, default="")

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"
        default_permissions = ("view",)
        permissions = [("revoke_keys", "Can revoke API keys")]

    def __str__(self) -> str:
        return str(self.key_id)
