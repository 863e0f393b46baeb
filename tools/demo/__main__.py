"""Start the exchange on this machine, with simulated traders at work: python -m tools.demo [--port 8000]"""

import argparse
import sys
from collections.abc import Sequence

from tools.demo.environment import begin, claim_data, claim_port, host, port, prepare
from tools.demo.show import run
from tools.demo.starting import run_as_program, seed
from tools.demo.supervision import Supervisor
from tools.rig.process import HOST


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    return run_as_program(lambda: _run(options))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.demo", description=__doc__)
    parser.add_argument("--port", type=port, default=8000, help="where the exchange listens, on this machine only")
    parser.add_argument("--host", type=host, default=HOST, help="an address that others reach; 0.0.0.0: all")
    parser.add_argument("--seconds", type=float, default=0, help="end after so long; 0: at Ctrl-C")
    parser.add_argument("--no-traders", action="store_true", help="the exchange alone")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    environment = prepare(options.port, options.host)
    # What it loses is play money.
    environment.variables.setdefault("SANDBOX", "on")
    environment.variables.setdefault("MCP_ALLOWED", "on")
    with claim_data(environment.data, environment.address) as lock:
        claim_port(options.port, host=options.host)
        begin(environment)
        seed(environment, ["tools.demo.seed"], "the database")
        supervisor = Supervisor(environment, lock)
        try:
            print("starting " + " ".join(process.name for process in supervisor.processes), flush=True)
            supervisor.start()
            code = run(environment, supervisor, with_traders=not options.no_traders, seconds=options.seconds)
            print("stopping", flush=True)
            return code
        finally:
            supervisor.stop()


if __name__ == "__main__":
    sys.exit(main())
