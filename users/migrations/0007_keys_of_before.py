"""The keys of the users of before, in small steps that are committed one by one; what is broken off goes on."""

from collections import Counter

from django.db import migrations
from django.db.models import F, Max

from base.storage.steps import id_ranges
from base.storage.fields import caseless, exact_key

SOURCES = ("username", "email")
KEYS = [f"{source}_key" for source in SOURCES]


def fill_keys(apps, schema_editor):
    """Names and addresses that differed in case only until now are known exactly, as they were."""
    rows = apps.get_model("users", "User").objects
    # Whoever comes meanwhile, from a process of the version before, has the key of a latecomer: see `users.keys`.
    newest = rows.aggregate(id=Max("id"))["id"] or 0
    known = rows.filter(id__lte=newest)
    times = {source: Counter(hash(caseless(text)) for text in _each(known, source)) for source in SOURCES}
    for span in id_ranges(known):
        batch = list(known.filter(id__range=span, username_key=None).only("id", *SOURCES))
        for user in batch:
            for source in SOURCES:
                folded = caseless(getattr(user, source))
                # A hash that two different texts share makes both exact, which takes nothing from anybody.
                is_alone = times[source][hash(folded)] == 1
                setattr(user, f"{source}_key", folded if is_alone else exact_key(folded, user.pk))
        rows.bulk_update(batch, KEYS)
        known.filter(id__range=span, updated_at=None).update(updated_at=F("date_joined"))


def _each(rows, source):
    return rows.values_list(source, flat=True).iterator(chunk_size=1000)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('users', '0006_caseless_names'),
    ]

    operations = [
        migrations.RunPython(fill_keys, migrations.RunPython.noop, elidable=False),
    ]
