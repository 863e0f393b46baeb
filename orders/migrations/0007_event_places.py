"""A user's events are found by market and sequence, because their times say nothing after the clock steps back."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0006_price_band'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='orderevent',
            index=models.Index(fields=['user', 'market', 'sequence'], name='event_user_place'),
        ),
        migrations.RemoveIndex(model_name='orderevent', name='event_user_time'),
    ]
