"""manage.py after_lost_commits: what must be done before an exchange goes on that lacks commits which clients know.

After a failover to a replica that lagged, and after a restored backup: before clients may connect.
"""

from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.models import AutoField, BigAutoField, Max, Model

from base.storage.lineage import renew_lineage
from base.storage.shared_caches import close_caches

# More than were issued while a replica lagged. A larger step than that of known ids would be learned of a second later.
SKIPPED_IDS = 100_000


class Command(BaseCommand):
    help = (
        "To be called before clients may connect to a database that lacks commits: new ids begin above those that were"
        " lost, clients of streams read REST again, and the shared caches forget what they hold."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ids", type=int, default=SKIPPED_IDS, help="how many of each table (default %(default)s)")

    def handle(self, *, ids: int, **_: Any) -> None:
        for model in apps.get_models():
            if model._meta.managed and isinstance(model._meta.pk, AutoField | BigAutoField):
                skip_ids(model, ids)
        renew_lineage()
        close_caches()
        self.stdout.write(f"{ids} ids are left out, streams will be reset, and the shared caches are closed")


def skip_ids(model: type[Model], count: int) -> None:
    """Have the table's next id be so many above its highest one."""
    highest = model._default_manager.aggregate(highest=Max("pk"))["highest"] or 0
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("UPDATE sqlite_sequence SET seq = %s WHERE name = %s", [highest + count, table])
        else:
            name = connection.ops.quote_name(table)
            cursor.execute(f"ALTER TABLE {name} AUTO_INCREMENT = {highest + count + 1}")
