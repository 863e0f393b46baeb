"""The REST API and the admin, for a WSGI server."""

import os
from threading import Thread

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")

application = get_wsgi_application()

from base.web.openapi.pages import write_ahead  # noqa: E402

# A second or two of work beside the first requests, for which all who ask first would wait.
Thread(target=write_ahead, name="description", daemon=True).start()
