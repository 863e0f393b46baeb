"""Who orders faults for other users. Run again, it adds what is missing and takes nothing away."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = {"operators": ("sandbox.set_faults", "sandbox.view_faults"), "auditors": ("sandbox.view_faults",)}


def store_groups(apps, schema_editor):
    """Permissions come into being after the last migration, so those that are not there yet are made first."""
    database = schema_editor.connection.alias
    app_config = apps.get_app_config("sandbox")
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
        ('operations', '0005_class'),
        ('sandbox', '0001_initial'),
    ]

    operations = [
        migrations.RunPython(store_groups, migrations.RunPython.noop),
    ]
