"""Beat has a heartbeat too: without one nobody learned that nothing was sent."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('matching', '0006_delisting'),
    ]

    operations = [
        migrations.AddField(
            model_name='workerheartbeat',
            name='is_beat',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
