"""One attacker after the other, and for each of them calm and siege by turns: what the polite client felt in both."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from tools.chaos.report import Progress, Report
from tools.rig.trader import Trader
from tools.siege.attack import attacking
from tools.siege.attackers import Attacker
from tools.siege.polite import PoliteClient, Window
from tools.siege.result import Row, table
from tools.siege.stack import SYMBOL, Stack, other_addresses, running_stack
from tools.siege.wire import Target

ACCOUNTS = 6
FUNDS = {"BTC": "1000000", "USD": "100000000"}
WARM_UP_SECONDS = 3.0
# An attacker is at work before it is measured what it does.
BEGIN_SECONDS = 1.0
AUDIT = ("audit", "--full")


@dataclass
class Campaign:
    """The run's settings."""

    folder: Path
    seed: int
    attackers: Sequence[Attacker]
    seconds: float
    rounds: int
    floor_ms: float
    with_nginx: bool = True
    report: Report = field(default_factory=lambda: Report("Siege", []))
    table: str = ""

    def run(self) -> Report:
        with running_stack(self.folder, with_nginx=self.with_nginx) as stack:
            front = f"without nginx ({stack.without_nginx})" if stack.without_nginx else "behind nginx"
            self.report.add("stack", f"MySQL, Redis, gunicorn, uvicorn, a worker, beat; {front}")
            rows = self._besiege(stack)
            self.report.add("audit", stack.manage(*AUDIT).strip().splitlines()[-1])
        for row in rows:
            answered = ", ".join(f"{name} {count:,}" for name, count in row.tally.most_common(5))
            self.report.add(row.attacker.name, f"{row.attacker.what}; it had {answered or 'no answer'}")
            self.report.wrong += [f"{row.attacker.name}: {what}" for what in row.wrong(self.floor_ms)]
        self.table = table(rows, self.floor_ms)
        calm = sum((row.calm for row in rows), Window())
        self.report.wrong += [f"without a siege: {count} x {name}" for name, count in calm.errors.items()]
        return self.report

    def _besiege(self, stack: Stack) -> list[Row]:
        owned = {each.name: self._accounts(stack, each) for each in self.attackers}
        polite = stack.accounts([f"polite-{number}" for number in range(ACCOUNTS)], **FUNDS)
        rows = [Row(attacker) for attacker in self.attackers]
        total = int(len(rows) * self.rounds * (2 * self.seconds + BEGIN_SECONDS))
        began = time.monotonic()
        progress = Progress("siege", total, lambda: int(time.monotonic() - began), lambda: "seconds")
        with PoliteClient(polite, SYMBOL, self.seed) as client, progress:
            client.measure(WARM_UP_SECONDS)
            began = time.monotonic()
            for row in rows:
                for _ in range(self.rounds):
                    progress.show(row.attacker.name)
                    row.without.append(client.measure(self.seconds))
                    progress.show(row.attacker.name)
                    row.beside.append(self._attack(stack, row, owned[row.attacker.name], client))
                tqdm.write("  ".join(row.cells(self.floor_ms)), file=sys.stdout)
                sys.stdout.flush()
        return rows

    def _accounts(self, stack: Stack, attacker: Attacker) -> list[Trader]:
        names = [f"{attacker.name}-{number}" for number in range(attacker.accounts)]
        funds = {"USD": attacker.funds} if float(attacker.funds) else {}
        return stack.accounts(names, **funds) if names else []

    def _attack(self, stack: Stack, row: Row, traders: Sequence[Trader], client: PoliteClient) -> Window:
        addresses = other_addresses(max(1, len(traders)))
        tokens, seconds = [trader.token for trader in traders], self.seconds + BEGIN_SECONDS
        target = Target(stack.entrance, SYMBOL, addresses, tokens, seconds, self.seed)
        with attacking(row.attacker, target) as tally:
            time.sleep(BEGIN_SECONDS)
            window = client.measure(self.seconds)
        row.tally += tally
        return window
