"""The number of each user's open orders in each market, counted once from the orders; from now on it is kept."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

COUNT_OPEN = """
    INSERT INTO open_orders (market_id, user_id, number)
    SELECT market_id, user_id, COUNT(*) FROM orders WHERE phase IN ('TAKING', 'RESTING') GROUP BY market_id, user_id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('markets', '0003_limits'),
        ('orders', '0003_phase'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='OpenOrders',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(default=0)),
                ('market', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='markets.market')),
                ('user', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'open_orders',
                'verbose_name_plural': 'open orders',
                'constraints': [models.UniqueConstraint(fields=('market', 'user'), name='open_orders_market_user')],
            },
        ),
        migrations.RunSQL(COUNT_OPEN, migrations.RunSQL.noop),
    ]
