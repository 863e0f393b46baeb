"""The stored results of audits."""

from django.db import models


class Mode(models.TextChoices):
    """What an audit reads: rows since the last clean one, all rows, or a market's sequence for the naive twin."""

    QUICK = "QUICK"
    FULL = "FULL"
    REPLAY = "REPLAY"


class Outcome(models.IntegerChoices):
    """The command's exit code."""

    CLEAN = 0, "clean"
    FINDINGS = 1, "findings"
    NOT_RUN = 2, "could not run"


class AuditRun(models.Model):
    """One run of `manage.py audit`.

    `looked` is the number of rows that each check read. `positions` is how far the audit read; the next quick audit
    goes on from the positions of the last clean one. At most a thousand findings are kept; `found` counts all.
    """

    mode = models.CharField(max_length=8, choices=Mode.choices)
    started_at = models.DateTimeField()
    seconds = models.FloatField()
    outcome = models.PositiveSmallIntegerField(choices=Outcome.choices)
    looked = models.JSONField(default=dict)
    positions = models.JSONField(null=True)
    findings = models.JSONField(default=list)
    found = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, default="")

    class Meta:
        db_table = "audit_runs"

    def __str__(self) -> str:
        return f"{self.mode} {self.started_at:%Y-%m-%d %H:%M:%S}"
