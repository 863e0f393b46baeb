"""The groups of staff. Run again, it adds what is missing and takes nothing away, and no rows but its own are written."""

from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import migrations

_SEEN_BY_ALL = (
    *("users.view_user", "users.view_staffact", "markets.view_asset", "markets.view_market", "markets.view_trade"),
    *("balances.view_balance", "balances.view_ledgerentry", "balances.view_transfer"),
)
GROUPS = {
    "operators": (
        *_SEEN_BY_ALL,
        *("users.view_apikey", "users.revoke_keys", "users.kill", "users.change_limits"),
        *("markets.add_asset", "markets.add_market", "markets.change_market"),
        *("orders.view_order", "orders.view_openorders", "orders.view_orderevent"),
        *("orders.place_for_others", "orders.cancel_for_others", "commands.view_command"),
        *("matching.view_orderbook", "matching.view_statuschange", "matching.view_workerheartbeat"),
        *("matching.view_deadletter", "matching.change_deadletter", "audit.view_auditrun", "operations.view"),
    ),
    "treasurers": (
        *_SEEN_BY_ALL,
        *("balances.add_transfer", "balances.view_approval", "balances.approve_transfer", "balances.payout_fees"),
    ),
    "auditors": (
        *_SEEN_BY_ALL,
        *("auth.view_group", "users.view_apikey", "balances.view_approval"),
        *("orders.view_order", "orders.view_openorders", "orders.view_orderevent", "commands.view_command"),
        *("matching.view_orderbook", "matching.view_statuschange", "matching.view_workerheartbeat"),
        *("matching.view_deadletter", "audit.view_auditrun", "operations.view"),
    ),
}


def store_groups(apps, schema_editor):
    """Permissions come into being after the last migration, so those that are not there yet are made first."""
    database = schema_editor.connection.alias
    for app_config in apps.get_app_configs():
        # A model's state has no module, and without one no permission is made.
        app_config.models_module = True
        create_permissions(app_config, verbosity=0, using=database, apps=apps)
        app_config.models_module = None
    groups = apps.get_model("auth", "Group").objects.using(database)
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    for name, powers in GROUPS.items():
        group, _ = groups.get_or_create(name=name)
        for power in powers:
            app_label, codename = power.split(".")
            group.permissions.add(permissions.get(content_type__app_label=app_label, codename=codename))


class Migration(migrations.Migration):

    dependencies = [
        ('operations', '0001_permission'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('users', '0009_powers'),
        ('markets', '0006_marks'),
        ('balances', '0006_approvals'),
        ('commands', '0002_delisting'),
        ('orders', '0010_placed_by'),
        ('matching', '0007_beat'),
        ('audit', '0001_initial'),
    ]

    operations = [
        # The groups stay where this is undone: somebody may be in them.
        migrations.RunPython(store_groups, migrations.RunPython.noop),
    ]
