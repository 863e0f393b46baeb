"""The commands' table was made by `matching`; it goes on under the same name."""

from django.db import migrations, models

import django.db.models.deletion


def move_content_type(apps, schema_editor):
    """Permissions and the admin's log hang on the content type, and go with it."""
    apps.get_model('contenttypes', 'ContentType').objects.filter(app_label='matching', model='command').update(
        app_label='commands'
    )


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
        ('markets', '0001_initial'),
        ('matching', '0003_attendance'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[
            migrations.CreateModel(
                name='Command',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('kind', models.CharField(choices=[('NEW', 'NEW'), ('CANCEL', 'CANCEL'), ('RESUME', 'RESUME'), ('CANCEL_ONLY', 'CANCEL_ONLY'), ('HALT', 'HALT')], max_length=16)),
                    ('order_id', models.PositiveBigIntegerField(null=True)),
                    ('created_at', models.DateTimeField()),
                    ('market', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='markets.market')),
                ],
                options={
                    'db_table': 'commands',
                    'indexes': [models.Index(fields=['market', 'id'], name='command_inbox')],
                },
            ),
        ]),
        migrations.RunPython(move_content_type, migrations.RunPython.noop),
    ]
