"""Watch the workers: Flower beside the running demo, or beside a broker that BROKER_URL names.

python -m tools.demo.flower [--port 5555]
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from tools.demo.cast import PASSWORD
from tools.demo.environment import CannotStartError, claim_port, data_folder, look_for, port, running_broker
from tools.demo.secrets import STAFF_PASSWORD, has_secrets, own_secrets
from tools.rig.process import HOST, ROOT

PASSWORD_VARIABLE = "FLOWER_BASIC_AUTH"  # noqa: S105
# Also in production: what Flower shows, and that it ends at once.
CONF = ROOT / "deploy" / "flower.conf.py"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools.demo.flower", description=__doc__)
    parser.add_argument("--port", type=port, default=5555, help="where Flower listens, on this machine only")
    options = parser.parse_args(arguments)
    try:
        variables = prepare(os.environ)
        claim_port(options.port, "FLOWER_PORT")
        _watch(variables, options.port)
    except CannotStartError as reason:
        print(reason, file=sys.stderr)
    return 1


def prepare(environment: Mapping[str, str]) -> dict[str, str]:
    """Flower's environment. Flower can end workers and run their tasks, so it is never without a password.

    Raises CannotStartError.
    """
    variables = dict(environment)
    if not variables.get("BROKER_URL"):
        broker = running_broker(data_folder())
        if broker is None:
            raise CannotStartError("no demo is running here; start `make demo`, or set BROKER_URL to watch another")
        variables |= {"BROKER_URL": broker, "DEMO": "1"}
        own = own_secrets(data_folder()) if has_secrets(data_folder()) else {}
        variables.setdefault(PASSWORD_VARIABLE, f"admin:{own.get(STAFF_PASSWORD, PASSWORD)}")
    look_for(variables, "BROKER_URL")
    name, _, password = variables.get(PASSWORD_VARIABLE, "").partition(":")
    if not (name and password):
        raise CannotStartError(f"{PASSWORD_VARIABLE} must be set to user:password")
    # Flower serves no orders: it must not count among those that do.
    variables.pop("PROMETHEUS_MULTIPROC_DIR", None)
    return variables


def _watch(variables: dict[str, str], port: int) -> NoReturn:
    """Become Flower."""
    who = variables[PASSWORD_VARIABLE].partition(":")[0]
    print(f"http://{HOST}:{port}  (user {who}; it shows what happens from now on)", flush=True)
    command = [sys.executable, "-m", "celery", "-A", "exchange", "flower", f"--address={HOST}"]
    command += [f"--port={port}", f"--conf={CONF}"]
    os.execve(sys.executable, command, variables)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
