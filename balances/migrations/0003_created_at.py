from django.db import migrations, models

# A row of a balance is made in the transaction that first moves money to it, so its first ledger entry tells when. The
# entries never change, while `updated_at` moves with each freeze: it stands in where there is no entry.
FIRST_ENTRY = """
    UPDATE balances SET created_at = COALESCE(
        (SELECT entries.created_at FROM ledger_entries entries
         WHERE entries.account = balances.user_id AND entries.currency = balances.currency
         ORDER BY entries.id LIMIT 1),
        updated_at)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('balances', '0002_initial'),
    ]

    operations = [
        migrations.AddField('balance', 'created_at', models.DateTimeField(auto_now_add=True, null=True)),
        migrations.RunSQL(FIRST_ENTRY, migrations.RunSQL.noop),
        migrations.AlterField('balance', 'created_at', models.DateTimeField(auto_now_add=True)),
    ]
