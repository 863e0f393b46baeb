"""The faults that accounts and keys ordered."""

from dataclasses import fields

from django.db import models
from django.db.models import UniqueConstraint

from sandbox.faults import Plan

OF_THE_ACCOUNT = 0


class Faults(models.Model):
    """One plan of an account (`key_id` 0), or of one of its keys, which then goes before its account's.

    `run` names the counter of its requests and events; each change begins a new one.
    """

    # Plain ids: the row is read for each request of the sandbox, by them alone.
    user_id = models.PositiveBigIntegerField()
    key_id = models.PositiveBigIntegerField(default=OF_THE_ACCOUNT)
    run = models.CharField(max_length=32)
    seed = models.PositiveBigIntegerField()
    delay_ms = models.PositiveIntegerField()
    delay_percent = models.PositiveIntegerField()
    too_many_percent = models.PositiveIntegerField()
    lost_answer_percent = models.PositiveIntegerField()
    reject_percent = models.PositiveIntegerField()
    cut_percent = models.PositiveIntegerField()
    duplicate_percent = models.PositiveIntegerField()
    late_ms = models.PositiveIntegerField()
    late_percent = models.PositiveIntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "sandbox_faults"
        verbose_name_plural = "faults"
        constraints = [UniqueConstraint(fields=["user_id", "key_id"], name="sandbox_faults_of_one")]
        permissions = [("set_faults", "Can order faults for other users")]

    @property
    def plan(self) -> Plan:
        return Plan(**{field.name: getattr(self, field.name) for field in fields(Plan)})
