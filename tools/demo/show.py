"""One run of the demo, from the first process to the summary."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Coroutine
from typing import Any

from tools.demo.cast import HUMANS, LISTINGS, PASSWORD, Member
from tools.demo.environment import CannotStartError, Environment
from tools.demo.room import room_lines, room_url
from tools.demo.secrets import FILE, STAFF_PASSWORD, WARNING
from tools.demo.supervision import Supervisor
from tools.demo.tally import Tally
from tools.demo.traders import trade, wait_until_matching
from tools.rig.exchange import answers, reached
from tools.rig.process import HOST

READY_SECONDS = 90
LINE_SECONDS = 2.5


def run(environment: Environment, supervisor: Supervisor, *, with_traders: bool, seconds: float) -> int:
    """The exit code: 0 if orders were matched and events received, or if there was nobody to trade."""
    return asyncio.run(_Show(environment, supervisor, with_traders, seconds).run())


class _Show:
    def __init__(self, environment: Environment, supervisor: Supervisor, with_traders: bool, seconds: float) -> None:
        self._environment = environment
        self._supervisor = supervisor
        self._with_traders = with_traders
        self._seconds = seconds
        self._tally = Tally()
        self._asked_to_stop = asyncio.Event()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(stop, self._asked_to_stop.set)
        is_ready = await self._until_stopped(self._get_ready())
        if is_ready:
            print(_welcome(self._environment), flush=True)
            started = time.monotonic()
            await self._until_stopped(self._trade(started))
            if self._with_traders:
                print(self._tally.summary(time.monotonic() - started), flush=True)
        if not self._environment.has_data:
            removed = f"{self._environment.data} was removed while the demo ran"
            print(f"{removed}; start it again, and it begins with nothing", file=sys.stderr)
            return 1
        return 0 if is_ready and (self._tally.is_success or not self._with_traders) else 1

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether the work came to its own end: nobody stopped us, and the data is still there."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stopped())
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        is_done = task.done()
        for each in (task, stop):
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each
        return is_done

    async def _stopped(self) -> None:
        while self._environment.has_data and not self._asked_to_stop.is_set():
            self._supervisor.watch()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked_to_stop.wait(), 0.5)

    async def _get_ready(self) -> None:
        """Raises CannotStartError."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                host = reached(self._environment.host)
                while not await asyncio.to_thread(answers, self._environment.port, host=host):
                    await asyncio.sleep(0.2)
                await wait_until_matching(self._environment.address, self._environment.traders_password)
        except TimeoutError as error:
            logs = self._environment.logs
            raise CannotStartError(f"no order was matched within {READY_SECONDS} s; see the logs in {logs}") from error

    async def _trade(self, started: float) -> None:
        end = self._seconds or float("inf")
        where = self._environment.address, self._environment.traders_password
        trading = asyncio.create_task(trade(*where, self._tally) if self._with_traders else _rest())
        try:
            while not trading.done() and (passed := time.monotonic() - started) < end:
                await asyncio.wait((trading,), timeout=min(LINE_SECONDS, end - passed))
                if self._with_traders:
                    print(self._tally.line(time.monotonic() - started), flush=True)
        finally:
            trading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await trading


async def _rest() -> None:
    await asyncio.Event().wait()


def _welcome(environment: Environment) -> str:
    rows = [
        f"  {member.name:<7} {_password(environment, member):<15} {member.role:<9} {_funds(member.funds)}"
        for member in HUMANS
    ]
    own = [f"  admin's password: {STAFF_PASSWORD} in {environment.data / FILE}"] if environment.has_own_secrets else []
    symbols = ", ".join(listing.symbol for listing in LISTINGS)
    return "\n".join(
        [
            "",
            f"{environment.address}  (admin: /admin/, API: /api/v1/)",
            *(row.rstrip() for row in rows),
            *own,
            f"  markets {symbols}; logs in {environment.logs}; Ctrl-C stops",
            *(["", *_for_others(environment), WARNING] if environment.host != HOST else []),
            "",
        ]
    )


def _for_others(environment: Environment) -> list[str]:
    return room_lines(room_url(environment.host, environment.port))


def _password(environment: Environment, member: Member) -> str:
    """Not on a screen that a class looks at: whoever starts the demo reads the file."""
    return "(see below)" if member.is_staff and environment.has_own_secrets else PASSWORD


def _funds(funds: dict[str, int]) -> str:
    return ", ".join(f"{amount:,} {currency}" for currency, amount in funds.items())
