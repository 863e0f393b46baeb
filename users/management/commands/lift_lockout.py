"""Let a name, or an address, be tried again after too many wrong passwords."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from base.web.ratelimit.addresses import UNKNOWN, network_of
from base.web.ratelimit.lockout import lift_address, lift_name


class Command(BaseCommand):
    help = "Lift the lock-out of a user name at all addresses, or of an address for all names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("name", nargs="?")
        what.add_argument("--address", help="of IPv6 any address of the /64")

    def handle(self, *_: Any, **options: Any) -> None:
        name, address = options["name"], options["address"]
        if address is not None:
            network = network_of(address)
            if network == UNKNOWN:
                raise CommandError(f"{address!r} is no address")
            is_lifted, what = lift_address(network), network
        else:
            is_lifted, what = lift_name(name), name
        if not is_lifted:
            raise CommandError("Redis does not answer: until it does, each process counts by itself")
        self.stdout.write(f"{what} may sign in again")
