"""The one row by which all processes agree whether the shared caches may be used (see base.storage.coherence)."""

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
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "cache_states"

    def __str__(self) -> str:
        return f"{self.name} {self.phase}"
