"""One attacker as a process of its own: python -m tools.siege.attack NAME, with its target on stdin.

It prints what was answered. It is nice to the machine that it shares with what it attacks, because a real attacker
would bring a machine of its own.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from tools.rig.process import ROOT, die_with_parent
from tools.siege.attackers import ATTACKERS, Attacker
from tools.siege.wire import Target

NICE = 19
END_SECONDS = 30


def main(name: str) -> None:
    os.nice(NICE)
    target = Target(**json.load(sys.stdin))
    [attacker] = [each for each in ATTACKERS if each.name == name]
    asyncio.run(_attack(attacker, target))
    print(json.dumps(target.tally))


async def _attack(attacker: Attacker, target: Target) -> None:
    try:
        async with asyncio.timeout(target.seconds + 1):
            await attacker.attack(target)
    except TimeoutError:
        target.tally["cut off"] += 1


@contextmanager
def attacking(attacker: Attacker, target: Target) -> Iterator[Counter[str]]:
    """The attack goes on within the `with`; afterwards the tally is complete."""
    given = {name: value for name, value in asdict(target).items() if name not in ("tally", "began")}
    command = [sys.executable, "-m", "tools.siege.attack", attacker.name]
    tally: Counter[str] = Counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        try:
            yield tally
            process.wait(END_SECONDS)
            tally.update(json.loads(process.stdout.read() or "{}"))
        finally:
            process.kill()
    assert process.returncode == 0, f"the attacker {attacker.name} ended with {process.returncode}"


if __name__ == "__main__":
    main(sys.argv[1])
