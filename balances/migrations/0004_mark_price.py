import base.storage.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('balances', '0003_created_at'),
    ]

    operations = [
        migrations.AddField(
            model_name='transfer',
            name='mark_price',
            field=base.storage.fields.AmountField(null=True),
        ),
    ]
