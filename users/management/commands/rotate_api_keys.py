"""manage.py rotate_api_keys: encrypt the secrets of all API keys by the newest of API_KEY_SECRETS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from users.key_rotation import rotate


class Command(BaseCommand):
    help = (
        "Encrypt the secrets of all API keys by the newest of API_KEY_SECRETS, while requests are served. After that"
        " the older ones may be taken out of the setting. Exit code 1: a secret that none of them decrypts."
    )

    def handle(self, **_: Any) -> None:
        result = rotate(self._progress)
        self.stdout.write(f"{result.changed} secrets encrypted anew, {result.newest} were already")
        if result.unreadable:
            raise CommandError(f"{result.unreadable} secrets are decrypted by none of API_KEY_SECRETS")

    def _progress(self, done: int, total: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{done} of {total}", ending="" if done < total else "\n")
