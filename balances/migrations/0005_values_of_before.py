"""When the balances of before were made, and what an asset was worth when it was transferred.

In small steps that are committed one by one, because the exchange trades meanwhile and must not wait for their rows. What is
broken off goes on where it stopped.
"""

from django.db import migrations

from base.storage.steps import id_ranges

# A row of a balance is made in the transaction that first moves money to it, so its first ledger entry has that moment.
# The entries never change, while `updated_at` moves with each freeze: it stands in where there is no entry.
FIRST_ENTRY = """
    UPDATE balances SET created_at = COALESCE(
        (SELECT entries.created_at FROM ledger_entries entries
         WHERE entries.account = balances.user_id AND entries.currency = balances.currency
         ORDER BY entries.id LIMIT 1),
        updated_at)
    WHERE id BETWEEN %s AND %s AND created_at IS NULL
"""


def date_balances(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for first, last in id_ranges(apps.get_model('balances', 'Balance').objects.all()):
            cursor.execute(FIRST_ENTRY, [first, last])


def find_marks(apps, schema_editor):
    """The close of the minute until then."""
    Market, Candle = apps.get_model('markets', 'Market'), apps.get_model('markets', 'Candle')
    newest_first = Market.objects.order_by('-created_at', '-symbol').values_list('base_id', 'symbol')
    mains = dict(newest_first)
    transfers = apps.get_model('balances', 'Transfer').objects.filter(mark_price=None, currency_id__in=list(mains))
    for span in id_ranges(transfers):
        for transfer in transfers.filter(pk__range=span):
            minutes = Candle.objects.filter(
                market_id=mains[transfer.currency_id], interval=60, opens_at__lte=transfer.created_at
            )
            close = minutes.order_by('-opens_at').values_list('close', flat=True).first()
            if close is not None:
                transfers.filter(pk=transfer.pk).update(mark_price=close)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('balances', '0004_mark_price'),
        ('markets', '0006_marks'),
    ]

    operations = [
        migrations.RunPython(date_balances, migrations.RunPython.noop),
        migrations.RunPython(find_marks, migrations.RunPython.noop),
    ]
