"""Django's own command, with the id of the new user made known before the commit."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.db import transaction

from users.ids import user_ids
from users.models import User


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        before = user_ids.read_highest()
        with transaction.atomic():
            done = super().handle(*args, **options)
            user_ids.issued(list(User.objects.filter(pk__gt=before).values_list("pk", flat=True)))
        return done
