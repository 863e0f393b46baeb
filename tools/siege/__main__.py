"""Besiege the exchange while a polite client trades, and say what the polite client felt:

    python -m tools.siege [--only NAME ...] [--seconds 10] [--rounds 2] [--seed N]

It starts and stops servers of its own, with the limits that are shipped. Exit code 1 where the polite client had an
error, or waited more than twice as long as without the siege at the 99th percentile.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.rig.driver import provide_driver
from tools.rig.packages import UnavailableError
from tools.rig.process import exit_at_signals
from tools.rig.servers import run_folder
from tools.siege.attackers import ATTACKERS
from tools.siege.campaign import Campaign


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    exit_at_signals()
    print(f"seed {options.seed}", flush=True)
    attackers = [each for each in ATTACKERS if not options.only or each.name in options.only]
    try:
        provide_driver()
        with run_folder() as folder:
            measured = (options.seconds, options.rounds, options.floor)
            campaign = Campaign(folder, options.seed, attackers, *measured, with_nginx=not options.without_nginx)
            report = campaign.run()
    except UnavailableError as reason:
        print(f"this needs a server that cannot be had here: {reason}", file=sys.stderr)
        return 1
    text = f"{report.text()}\n{campaign.table}\n"
    print(f"\n{text}", flush=True)
    if options.output:
        options.output.write_text(text)
    return int(bool(report.wrong))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.siege", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[each.name for each in ATTACKERS], help="these attackers alone")
    parser.add_argument("--seconds", type=float, default=10, help="of each stretch, calm or siege")
    parser.add_argument("--rounds", type=int, default=2, help="stretches of each kind for each attacker")
    parser.add_argument("--floor", type=float, default=50, help="milliseconds that are no delay, whatever the multiple")
    parser.add_argument("--without-nginx", action="store_true", help="uvicorn answers everything, as in the demo")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="by default another each time")
    parser.add_argument("--output", type=Path, help="write the report to this file too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
