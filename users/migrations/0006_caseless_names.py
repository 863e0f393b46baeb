from django.db import migrations, models
from django.db.models.functions import Now

import base.storage.fields
import users.models


def _key(source):
    return base.storage.fields.CaselessKeyField(source, editable=False, max_length=280, null=True, unique=True)


class Migration(migrations.Migration):

    dependencies = [
        ('users', '0005_sessions'),
    ]

    operations = [
        migrations.AlterModelManagers('user', [('objects', users.models.Users())]),
        # Null, and never to be made not null: Django writes MODIFY without the collation for that, which is lost then.
        migrations.AddField('user', 'username_key', _key('username')),
        migrations.AddField('user', 'email_key', _key('email')),
        # Null first, so that the rows of before are distinguished from those that are made now.
        migrations.AddField('user', 'updated_at', models.DateTimeField(null=True)),
        migrations.AlterField('user', 'updated_at', models.DateTimeField(auto_now=True, db_default=Now(), null=True)),
    ]
