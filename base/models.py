"""Rows by which all processes agree: whether the shared caches may be used, and of which server the rows are."""

from django.db import models

from base.storage.coherence import Phase
from base.storage.fields import KeyField, choices_of


class CacheState(models.Model):
    """The phase of the shared caches. `token` changes with each change; entries of another token are not used."""

    name = KeyField(primary_key=True, max_length=16)
    phase = models.CharField(max_length=8, choices=choices_of(Phase))
    token = KeyField(max_length=32)
    # The run id of the Redis that holds the entries while the phase is OPEN.
    server = models.CharField(max_length=64)
    # The database server by which it was written (see base.storage.lineage).
    origin = models.CharField(max_length=255, default="", db_default="")
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "cache_states"

    def __str__(self) -> str:
        return f"{self.name} {self.phase}"


class Lineage(models.Model):
    """The server that wrote the rows. `token` changes when another one takes over (see base.storage.lineage)."""

    name = KeyField(primary_key=True, max_length=16)
    server = models.CharField(max_length=255)
    token = models.CharField(max_length=16)

    class Meta:
        db_table = "lineages"

    def __str__(self) -> str:
        return f"{self.name} {self.token}"
