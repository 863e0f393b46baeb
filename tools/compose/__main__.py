"""Start the production stack of docker-compose.yml, and look at what it does:

    python -m tools.compose [one|two] [--stand-ins] [--seed N]

`one` is the stack on one machine, `two` has a second host and RabbitMQ between them; without a part both are run. Where
this machine's Docker reaches no image registry, an engine of our own is started with images made of Debian's packages;
that needs Debian and root. All that was started is stopped and removed at the end. Exit code 1, with the logs kept, if
anything was wrong.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tools.compose.course import one_host
from tools.compose.docker import DockerError, running_docker
from tools.compose.hosts import two_hosts
from tools.compose.verdicts import StepError, Verdicts
from tools.rig.packages import UnavailableError
from tools.rig.process import exit_at_signals
from tools.rig.servers import run_folder

PARTS = {"one": one_host, "two": two_hosts}


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    exit_at_signals()
    verdicts = Verdicts()
    with run_folder() as folder:
        try:
            with running_docker(folder / "engine", own=options.stand_ins) as docker:
                print("Docker {}, Compose {}; seed {}".format(*docker.versions(), options.seed), flush=True)
                for part in [options.part] if options.part else PARTS:
                    PARTS[part](docker, folder / part, options.seed, verdicts)
        except (UnavailableError, DockerError) as reason:
            print(f"this needs Docker: {reason}", file=sys.stderr)
            return 1
        except StepError as step:
            print(f"the steps after this one are left out: {step}", file=sys.stderr)
        except KeyboardInterrupt:
            print("broken off; what was started is stopped and removed", file=sys.stderr)
            return 130
        finally:
            print(f"\n{verdicts.table()}", flush=True)
            if verdicts.wrong:
                _keep_logs(folder)
    return int(verdicts.wrong > 0)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.compose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--stand-ins", action="store_true", help="even where an image registry is reached")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="by default another each time")
    return parser.parse_args(arguments)


def _keep_logs(folder: Path) -> None:
    kept = Path(tempfile.mkdtemp(prefix=f"exchange-compose-{time.strftime('%H%M%S')}-"))
    for log in folder.rglob("*.log"):
        if "data" not in log.relative_to(folder).parts:
            shutil.copy(log, kept / f"{log.parent.name}-{log.name}")
    print(f"kept: {kept} (logs)", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
