"""Run the benchmark on servers of its own: python -m tools.bench [--only NAME ...] [--quick]"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.rig.driver import provide_driver
from tools.rig.packages import UnavailableError
from tools.rig.process import LIMITS
from tools.rig.servers import STARTS, run_folder, start_redis


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.bench", description=__doc__)
    parser.add_argument("--database", choices=STARTS, default="mysql")
    options, others = parser.parse_known_args(arguments)
    try:
        print(provide_driver(), flush=True)
        with run_folder() as folder:
            return _run(options.database, folder, others)
    except UnavailableError as reason:
        print(f"the benchmark needs a server that cannot be had here: {reason}", file=sys.stderr)
        return 1


def _run(kind: str, folder: Path, others: Sequence[str]) -> int:
    # Durable as shipped: flushed to the disk at each commit, binary log included.
    with STARTS[kind](folder, durable=True) as database, start_redis(folder / "redis") as redis:
        environment = {
            "DEMO": "1",
            "DJANGO_SETTINGS_MODULE": "exchange.settings",
            "DATABASE_URL": database.url,
            "REDIS_URL": f"{redis.url}/1",
            "BROKER_URL": f"{redis.url}/0",
            "DATA_DIR": str(folder / "data"),
            # Intake is measured without a worker: nothing takes away what waits.
            "INTAKE_MAX_WAITING": "10000000",
            "INTAKE_MAX_WAITING_PER_USER": "10000000",
            "INTAKE_MAX_AGE_SECONDS": "86400",
            "LOG_LEVEL": "ERROR",
            **dict.fromkeys(LIMITS, "off"),
            "BENCH_DATABASE": f"{database.name} {database.version}",
            "BENCH_SERVERS": f"{database.pid} {redis.pid}",
        }
        command = [sys.executable, "-m", "tools.bench.run", *others]
        return subprocess.run(command, check=False, env=os.environ | environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
