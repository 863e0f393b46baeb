"""Who a program is, from its arguments or its environment."""

import argparse
import os
from pathlib import Path

from .credentials import Credentials, Ed25519Key, HmacKey, Nobody, Password

URL = "http://127.0.0.1:8000"


def parser(description: str | None, *, is_private: bool = True) -> argparse.ArgumentParser:
    """`--url`, and by what one signs: `--user` with the password in the environment, or a key.

    A password and a secret are no arguments, because every user of the machine sees those.
    """
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--url", default=os.environ.get("CLEARBELL_URL", URL), help="or CLEARBELL_URL")
    if is_private:
        user = os.environ.get("CLEARBELL_USER")
        made.add_argument("--user", default=user, help="or CLEARBELL_USER; its password is CLEARBELL_PASSWORD")
        key = os.environ.get("CLEARBELL_KEY_ID")
        signed = "its secret is CLEARBELL_SECRET, or CLEARBELL_PRIVATE_KEY names the PEM of an ED25519 key"
        made.add_argument("--key", default=key, help=f"or CLEARBELL_KEY_ID; {signed}")
    return made


def credentials(arguments: argparse.Namespace) -> Credentials:
    """Raises SystemExit where something is missing."""
    if arguments.key:
        if path := os.environ.get("CLEARBELL_PRIVATE_KEY"):
            return Ed25519Key(arguments.key, Path(path).read_bytes())
        return HmacKey(arguments.key, _needed("CLEARBELL_SECRET"))
    return Password(arguments.user, _needed("CLEARBELL_PASSWORD")) if arguments.user else Nobody()


def _needed(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set")
    return value
