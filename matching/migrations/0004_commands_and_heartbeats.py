"""Commands are a package of their own; a worker's attendance is called its heartbeat. No table changes."""

from django.db import migrations, models


def rename_permissions(apps, schema_editor):
    """Django renames a model's content type and leaves the names of its permissions."""
    for permission in apps.get_model('auth', 'Permission').objects.filter(
        content_type__app_label='matching', codename__endswith='_attendance'
    ):
        permission.codename = permission.codename.replace('_attendance', '_workerheartbeat')
        permission.save(update_fields=['codename'])


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('commands', '0001_initial'),
        ('matching', '0003_attendance'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name='Command')]),
        migrations.RunPython(rename_permissions, migrations.RunPython.noop),
        migrations.RenameModel(old_name='Attendance', new_name='WorkerHeartbeat'),
        migrations.AlterField(
            model_name='deadletter',
            name='kind',
            field=models.CharField(choices=[('NEW', 'NEW'), ('CANCEL', 'CANCEL'), ('RESUME', 'RESUME'), ('CANCEL_ONLY', 'CANCEL_ONLY'), ('HALT', 'HALT')], max_length=16),
        ),
        migrations.AlterField(
            model_name='orderbook',
            name='status',
            field=models.CharField(choices=[('TRADING', 'TRADING'), ('CANCEL_ONLY', 'CANCEL_ONLY'), ('HALTED', 'HALTED')], default='TRADING', max_length=16),
        ),
        migrations.AlterField(
            model_name='statuschange',
            name='status',
            field=models.CharField(choices=[('TRADING', 'TRADING'), ('CANCEL_ONLY', 'CANCEL_ONLY'), ('HALTED', 'HALTED')], max_length=16),
        ),
    ]
