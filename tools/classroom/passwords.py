"""Passwords that are read from a sheet and typed on a telephone: three short words and two digits."""

import secrets
from pathlib import Path

# None that sounds like another, and nothing that anybody would mind.
WORDS = (Path(__file__).parent / "words.txt").read_text().split()


def readable_password() -> str:
    """From the system's random numbers, and not from a seed: whoever knows the seed must not know it."""
    return "-".join([*(secrets.choice(WORDS) for _ in range(3)), f"{secrets.randbelow(90) + 10}"])
