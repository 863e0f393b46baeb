"""Who runs the rounds of a class: a group of its own. Run again, it adds what is missing and takes nothing away."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

_RUN = ("classroom.run_round", "classroom.view_round", "classroom.view_news", "classroom.view_seat")
GROUPS = {"teachers": (*_RUN, "markets.view_market", "markets.view_trade", "users.view_user")}


def store_groups(apps, schema_editor):
    """Permissions come into being after the last migration, so those that are not there yet are made first."""
    database = schema_editor.connection.alias
    app_config = apps.get_app_config("classroom")
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
        ('operations', '0004_timers'),
        ('classroom', '0001_initial'),
        ('markets', '0009_fee_tiers'),
    ]

    operations = [
        migrations.RunPython(store_groups, migrations.RunPython.noop),
    ]
