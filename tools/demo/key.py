"""Make an API key of a demo's user, and print what a shell takes over: eval "$(python -m tools.demo.key --user alice)"

The names are those of docs/bots.md; freqtrade knows its own two.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence

import httpx

from tools.demo.cast import PASSWORD

SCOPES = ("read", "trade")
TIMEOUT_SECONDS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        made = make_key(options.url.rstrip("/"), options.user, options.password, options.label)
    except httpx.HTTPStatusError as error:
        print(f"{options.url}: {error.response.text.strip()[:300]}", file=sys.stderr)
        return 1
    except httpx.HTTPError as error:
        print(f"{options.url} does not answer: {error}", file=sys.stderr)
        return 1
    key, secret = made
    for name, value in (
        ("CLEARBELL_URL", options.url.rstrip("/")),
        ("CLEARBELL_KEY", key),
        ("CLEARBELL_SECRET", secret),
        ("FREQTRADE__EXCHANGE__KEY", key),
        ("FREQTRADE__EXCHANGE__SECRET", secret),
    ):
        print(f"export {name}={shlex.quote(value)}")
    return 0


def make_key(url: str, user: str, password: str, label: str) -> tuple[str, str]:
    """The key's id and its secret. Raises httpx.HTTPError."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=TIMEOUT_SECONDS, trust_env=False) as http:
        signed_in = http.post("/auth/token", json={"username": user, "password": password}).raise_for_status()
        token = signed_in.json()["data"]["accessToken"]
        wanted = {"label": label, "scopes": list(SCOPES)}
        answer = http.post("/keys", json=wanted, headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    made = answer.json()["data"]
    return made["keyId"], made["secret"]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.demo.key", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the exchange is")
    parser.add_argument("--user", default="alice", help="whose key it is")
    parser.add_argument("--password", default=PASSWORD, help="by default that of the demo's users")
    parser.add_argument("--label", default="bot", help="by which its owner knows it again")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
