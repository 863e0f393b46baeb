from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('markets', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='market',
            name='status',
            field=models.CharField(choices=[('TRADING', 'TRADING'), ('CANCEL_ONLY', 'CANCEL_ONLY'), ('HALTED', 'HALTED')], default='TRADING', max_length=16),
        ),
    ]
