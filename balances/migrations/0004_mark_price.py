"""What an asset was worth when it was transferred. For earlier transfers: the close of the minute until then."""

import base.storage.fields
from django.db import migrations

AT_ONCE = 500


def find_marks(apps, schema_editor):
    Market, Candle = apps.get_model('markets', 'Market'), apps.get_model('markets', 'Candle')
    Transfer = apps.get_model('balances', 'Transfer')
    newest_first = Market.objects.order_by('-created_at', '-symbol').values_list('base_id', 'symbol')
    mains, last = dict(newest_first), 0
    while some := list(Transfer.objects.filter(pk__gt=last, currency_id__in=list(mains)).order_by('pk')[:AT_ONCE]):
        for transfer in some:
            minutes = Candle.objects.filter(
                market_id=mains[transfer.currency_id], interval=60, opens_at__lte=transfer.created_at
            )
            close = minutes.order_by('-opens_at').values_list('close', flat=True).first()
            if close is not None:
                Transfer.objects.filter(pk=transfer.pk).update(mark_price=close)
        last = some[-1].pk


class Migration(migrations.Migration):

    dependencies = [
        ('balances', '0003_created_at'),
        ('markets', '0006_marks'),
    ]

    operations = [
        migrations.AddField(
            model_name='transfer',
            name='mark_price',
            field=base.storage.fields.AmountField(null=True),
        ),
        migrations.RunPython(find_marks, migrations.RunPython.noop),
    ]
