from collections import Counter

from django.db import migrations, models
from django.db.models import F

import base.storage.fields
import users.models
from base.storage.fields import caseless, exact_key

BATCH = 500


def fill_keys(apps, schema_editor):
    """Names and addresses that differed in case only until now are known exactly, as they were."""
    rows = apps.get_model("users", "User").objects
    sources = ("username", "email")
    times = {source: Counter(hash(caseless(text)) for text in _each(rows, source)) for source in sources}
    batch = []
    for user in rows.only("id", *sources).order_by("id").iterator(chunk_size=BATCH):
        for source in sources:
            folded = caseless(getattr(user, source))
            # A hash that two different texts share makes both exact, which takes nothing from anybody.
            is_alone = times[source][hash(folded)] == 1
            setattr(user, f"{source}_key", folded if is_alone else exact_key(folded, user.pk))
        batch.append(user)
        if len(batch) == BATCH:
            rows.bulk_update(batch, ["username_key", "email_key"])
            batch.clear()
    rows.bulk_update(batch, ["username_key", "email_key"])
    rows.update(updated_at=F("date_joined"))


def _each(rows, source):
    return rows.values_list(source, flat=True).iterator(chunk_size=BATCH)


def _key(source, **options):
    return base.storage.fields.CaselessKeyField(source, max_length=280, editable=False, **options)


class Migration(migrations.Migration):

    dependencies = [
        ('users', '0005_sessions'),
    ]

    operations = [
        migrations.AlterModelManagers('user', [('objects', users.models.Users())]),
        # Not null from the beginning: to change that later Django writes MODIFY without the collation, which is lost then.
        migrations.AddField('user', 'username_key', _key('username', default='')),
        migrations.AddField('user', 'email_key', _key('email', default='')),
        migrations.AddField('user', 'updated_at', models.DateTimeField(auto_now=True, null=True)),
        migrations.RunPython(fill_keys, migrations.RunPython.noop, elidable=False),
        migrations.AlterField('user', 'username_key', _key('username', unique=True)),
        migrations.AlterField('user', 'email_key', _key('email', unique=True)),
        migrations.AlterField('user', 'updated_at', models.DateTimeField(auto_now=True)),
    ]
