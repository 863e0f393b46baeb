"""An order's phase takes the place of its flag `active`; the engine's `budget` is called `spend_limit`.

The new column is CLOSED for all at once, and only the orders that may still trade are written.
"""

from django.db import migrations, models


def write_phases(apps, schema_editor):
    Order = apps.get_model('orders', 'Order')
    unfinished = apps.get_model('matching', 'OrderBook').objects.exclude(unfinished_order_id=None)
    active = Order.objects.filter(active=True)
    active.update(phase='RESTING')
    active.filter(status='PENDING').update(phase='TAKING')
    active.filter(id__in=list(unfinished.values_list('unfinished_order_id', flat=True))).update(phase='TAKING')


def write_flags(apps, schema_editor):
    apps.get_model('orders', 'Order').objects.exclude(phase='CLOSED').update(active=True)


class Migration(migrations.Migration):

    dependencies = [
        ('matching', '0003_attendance'),
        ('orders', '0002_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='order',
            name='phase',
            field=models.CharField(choices=[('TAKING', 'TAKING'), ('RESTING', 'RESTING'), ('CLOSED', 'CLOSED')], default='CLOSED', max_length=8),
        ),
        migrations.AlterField(
            model_name='order',
            name='active',
            field=models.BooleanField(default=False),
        ),
        migrations.RunPython(write_phases, write_flags),
        migrations.AlterField(
            model_name='order',
            name='phase',
            field=models.CharField(choices=[('TAKING', 'TAKING'), ('RESTING', 'RESTING'), ('CLOSED', 'CLOSED')], default='TAKING', max_length=8),
        ),
        migrations.AddIndex(
            model_name='order',
            index=models.Index(fields=['market', 'phase', 'side', 'price'], name='order_book'),
        ),
        # Room for longer names of order types.
        migrations.AlterField(
            model_name='order',
            name='type',
            field=models.CharField(choices=[('LIMIT', 'LIMIT'), ('MARKET', 'MARKET')], max_length=24),
        ),
        migrations.RemoveIndex(model_name='order', name='order_book_side'),
        migrations.RemoveField(model_name='order', name='active'),
        migrations.RenameField(model_name='order', old_name='budget', new_name='spend_limit'),
    ]
