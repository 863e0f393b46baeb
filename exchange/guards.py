"""What stops the start for being unsafe: weak secrets, hosts that anybody may name, and a demo that others reach."""

import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_address
from itertools import pairwise

from django.core.exceptions import ImproperlyConfigured

from exchange.environment import env

SECRET_LENGTH, LEAST_LETTERS = 32, 8
DEMO_SECRETS = {
    "SECRET_KEY": "demo-only-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz",
    "JWT_SIGNING_KEY": "demo-only-signing-key-0123456789-abcdefghijklmnopqrstuv",
    "API_KEY_SECRETS": "demo-only-secret-of-api-keys-0123456789-abcdefghijklmnopqrstuvwxyz",
}
# In what generators and examples write in place of a secret.
_PLACEHOLDERS = ("demo-only", "django-insecure", "change", "secret-key", "secret_key", "example", "password", "1234567")
LOOPBACK_NAMES = ("localhost", "testserver")
# What names the address on which a server of ours listens.
_OPTIONS = ("--host", "--bind", "-b")
# Flower's; in `manage.py lift_lockout` it is an address of somebody else.
_OPTION_OF_FLOWER = "--address"
_WITH_PORT = re.compile(r"\S+:[0-9]+")


def secret(name: str, *, may_be_known: bool) -> str:
    """A secret from the environment. In a demo for this machine alone it may be the one that everybody knows."""
    value: str = env.str(name, default=DEMO_SECRETS[name] if may_be_known else "")
    if not (may_be_known and value == DEMO_SECRETS[name]):
        _refuse_weak(name, value)
    return value


def parse_secrets(name: str, others: Collection[str], *, may_be_known: bool) -> tuple[str, ...]:
    """The same of several, with commas between: one is rotated out by another. Each is another than all `others`."""
    text: str = env.str(name, default=DEMO_SECRETS[name] if may_be_known else "")
    secrets = tuple(each.strip() for each in text.split(","))
    for each in secrets:
        if not (may_be_known and each == DEMO_SECRETS[name]):
            _refuse_weak(name, each)
    if len({*secrets, *others}) < len(secrets) + len(others):
        raise ImproperlyConfigured(f"{name}: its secrets must differ, and each from that of any other variable")
    return secrets


def _refuse_weak(name: str, value: str) -> None:
    fault = weakness(value)
    if fault:
        raise ImproperlyConfigured(
            f"{name} must be set to a secret of your own, of {SECRET_LENGTH} random characters or more: {fault}."
            " `openssl rand -hex 32` makes one (or DEMO=1, to try the exchange on this machine)"
        )


def weakness(value: str) -> str:
    """Why it is no secret; nothing for one that looks random."""
    letters = set(value)
    steps = [ord(after) - ord(before) for before, after in pairwise(value)]
    if len(value) < SECRET_LENGTH:
        return f"it has {len(value)}" if value else "there is none"
    if len(letters) < LEAST_LETTERS:
        return f"it has only {len(letters)} different ones"
    if value in (value + value)[1:-1]:
        return "it repeats itself"
    if 2 * sum(step in (-1, 0, 1) for step in steps) > len(steps):
        return "its letters follow one another"
    if any(word in value.lower() for word in _PLACEHOLDERS):
        return "it is one that others know"
    return ""


def allowed_hosts(*, is_demo: bool) -> list[str]:
    """The names of this exchange. Whoever sends another is refused, so there is no name for all."""
    names = ["127.0.0.1", "localhost", "[::1]", *(["testserver"] if is_demo else [])]
    hosts: list[str] = env.list("ALLOWED_HOSTS", default=names)
    for host in hosts:
        if "*" in host:
            raise ImproperlyConfigured(f"ALLOWED_HOSTS has {host!r}, name each host (.example.com: all below it)")
        if host == "testserver" and not is_demo:
            raise ImproperlyConfigured("ALLOWED_HOSTS has 'testserver', which is for tests and DEMO=1 alone")
    return hosts


def refuse_a_demo_that_others_reach(hosts: Iterable[str], environment: Mapping[str, str]) -> None:
    """A demo has secrets and passwords that everybody knows. `make demo HOST=` makes some, and sets DEMO_HOST."""
    reached = [*hosts, *listening_addresses(sys.argv, environment)]
    strange = [name for name in reached if not is_loopback(name)]
    if strange:
        raise ImproperlyConfigured(
            f"DEMO=1 is for this machine alone, and {strange[0]} is reached from others:"
            " `make demo HOST=` starts a demo for others, with secrets of its own"
        )


def read_sandbox(is_wanted: bool, *, is_demo: bool, is_class: bool) -> bool:
    """A sandbox loses answers and fills orders that nobody would fill: nothing for what is real, nor for a contest."""
    if is_wanted and not is_demo:
        raise ImproperlyConfigured("SANDBOX=1 is for a demo alone (DEMO=1): it loses answers and invents fills")
    if is_wanted and is_class:
        raise ImproperlyConfigured("SANDBOX=1 is not for a class (CLASSROOM=1): students would order their own fills")
    return is_wanted


def listening_addresses(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Where this process listens by its command line, without the ports: by gunicorn, uvicorn, Flower or runserver."""
    found, server = [], "".join(arguments[:1])
    for option, after in zip(arguments, [*arguments[1:], ""], strict=True):
        name, is_one, value = option.partition("=")
        if name in _OPTIONS or (name == _OPTION_OF_FLOWER and "flower" in arguments):
            found.append(value if is_one else after)
    if "runserver" in arguments:
        # Of a port alone it makes one of loopback.
        found += filter(_WITH_PORT.fullmatch, arguments)
    if "gunicorn" in server and not found:
        # Its configuration file has this default.
        found.append(environment.get("BIND", "0.0.0.0:8000"))
    if "uvicorn" in server and not found:
        found.append(environment.get("UVICORN_HOST", "127.0.0.1"))
    return [_host(address) for address in found if not address.startswith("unix:")]


def is_loopback(name: str) -> bool:
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name in LOOPBACK_NAMES


def _host(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
