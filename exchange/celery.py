"""The Celery application: doorbells in, matching runs out."""

import os

from celery import Celery
from kombu.transport.redis import Channel

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")

app = Celery("exchange")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# A bell that was not acknowledged is not put back when its connection ends. That needs the very Redis that is gone:
# after a freeze, which swallows acknowledgements, and a kill, failing to put them back ended every worker.
Channel.do_restore = False
