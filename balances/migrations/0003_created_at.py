from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):

    dependencies = [
        ('balances', '0002_initial'),
    ]

    operations = [
        # Null first, so that the rows of before are distinguished from those that are made now.
        migrations.AddField('balance', 'created_at', models.DateTimeField(null=True)),
        migrations.AlterField('balance', 'created_at', models.DateTimeField(auto_now_add=True, db_default=Now(), null=True)),
    ]
