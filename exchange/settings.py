"""Settings, all in this file; the environment changes them, and a bad value stops the start with one line."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from base.storage.redis import (
    BROKER_SCHEMES,
    REDIS_SCHEMES,
    TIMEOUT_SECONDS,
    is_redis,
    redis_cache,
    transport_options,
)
from base.telemetry import logs
from base.web.openapi import OPTIONS
from exchange.databases import database
from exchange.environment import between, choice, env, parse_amounts, parse_origins, read_address, read_link
from exchange.guards import allowed_hosts, parse_secrets, read_sandbox, refuse_a_demo_that_others_reach, secret

# First of all, because a wrong setting is a line of the log too.
logs.begin()
BASE_DIR = Path(__file__).resolve().parent.parent
# What GET /api/v1/info answers: pyproject.toml has the same version, and the image its commit.
NAME, VERSION = "Clearbell", "0.7.0"
COMMIT = env.str("COMMIT", default="")

# Demo mode: loopback only, with secrets that everybody knows. Anything else must bring its own.
_ON, _OFF = ("1", "true", "True", "on"), ("0", "false", "False", "off")
DEMO = choice("DEMO", "off", _ON + _OFF) in _ON
# Where it is installed, in the folder in which it is started, and not among the packages.
_HOME = BASE_DIR if (BASE_DIR / "manage.py").exists() else Path.cwd()
DATA_DIR = Path(env.str("DATA_DIR", default=str(_HOME / ".data")))
# What is kept there is its owner's alone: an embedded database, a demo's secrets.
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
DEBUG = False
# A demo for a class: nobody has a password that others know, and no page offers one.
CLASSROOM = choice("CLASSROOM", "off", _ON + _OFF) in _ON
# A demo that others reach, on this address, has secrets of its own: `make demo HOST=` makes them.
DEMO_HOST = env.str("DEMO_HOST", default="")
_KNOWN = DEMO and not DEMO_HOST
# Faults that bots order for themselves, and orders with an ordered fate: in a demo alone, and in no class.
SANDBOX = read_sandbox(choice("SANDBOX", "off", _ON + _OFF) in _ON, is_demo=DEMO, is_class=CLASSROOM)
STREAM_FAULTS = "sandbox.streams.StreamFaults" if SANDBOX else None
SECRET_KEY = secret("SECRET_KEY", may_be_known=_KNOWN)
JWT_SIGNING_KEY = secret("JWT_SIGNING_KEY", may_be_known=_KNOWN)
if SECRET_KEY == JWT_SIGNING_KEY:
    raise ImproperlyConfigured("SECRET_KEY and JWT_SIGNING_KEY must be two different secrets")
# What the secrets of API keys are encrypted by: the newest first, and behind it those that are still to be rotated out.
API_KEY_SECRETS = parse_secrets("API_KEY_SECRETS", (SECRET_KEY, JWT_SIGNING_KEY), may_be_known=_KNOWN)
ALLOWED_HOSTS = allowed_hosts(is_demo=DEMO)
if _KNOWN:
    refuse_a_demo_that_others_reach(ALLOWED_HOSTS, os.environ)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Sites whose pages may read what is private; what is public may be read by all.
CORS_ORIGINS = parse_origins("CORS_ORIGINS", env.list("CORS_ORIGINS", default=[]))

INSTALLED_APPS = [
    # Before Django's, because its templates take the place of the admin's.
    *("base", "operations.admin_app.OperatorsAdmin"),
    *(f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions", "messages", "staticfiles")),
    *("rest_framework", "drf_spectacular", "drf_spectacular_sidecar", "django_prometheus", "django_eventstream"),
    *("users", "markets", "balances", "positions", "commands"),
    *("orders", "marketdata", "matching", "audit", "operations", "page", "classroom", "sandbox", "binance_api"),
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "base.telemetry.access.AccessLog",
    "base.web.hardening.Hardening",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "base.web.middleware.Counting",
    # Before the rate limit, because a browser's preflight is no request of its user's.
    "base.web.exposure.Exposure",
    # Before what may refuse, because every answer has the headers of the rate limit.
    "base.web.middleware.RateLimit",
    "base.web.model_context.ModelContext",
    "sandbox.middleware.Faults",
    "base.web.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "base.web.middleware.Csrf",
    "base.web.middleware.SignIn",
    "base.web.middleware.Messages",
    "base.web.middleware.PageRefusals",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF, WSGI_APPLICATION = "exchange.urls", "exchange.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"overview": "operations.dashboard"},
        },
    }
]

# Database: SQLite to try it out, MySQL for production.
DATABASE_URL = env.str("DATABASE_URL", default="") or f"sqlite:///{DATA_DIR / 'exchange.sqlite3'}"
DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis: the channel of the streams, a cache that may forget, and a broker for the doorbells.
REDIS_URL = read_address("REDIS_URL", "redis://127.0.0.1:6379/1", REDIS_SCHEMES)
CACHE_URL = read_address("CACHE_URL", REDIS_URL, REDIS_SCHEMES)
BROKER_URL = read_address("BROKER_URL", "redis://127.0.0.1:6379/0", BROKER_SCHEMES)
# The flag of a bell may be evicted at any time. The mark of a used ticket must not: the ticket would be good again.
CACHES = {"default": redis_cache(CACHE_URL), "kept": redis_cache(REDIS_URL)}

# How many levels of each side the worker keeps in the cache after each batch; 0 keeps none.
DEPTH_CACHE_LEVELS = between("DEPTH_CACHE_LEVELS", 100, 0, 500)

# The feed for other systems, and about how many entries each of its Redis streams holds.
FEED = choice("FEED", "off", _ON + _OFF) in _ON
FEED_LENGTH = between("FEED_LENGTH", 100_000, 1)

EVENTSTREAM_CHANNELMANAGER_CLASS = "base.streams.subscription.NobodyReads"

# Streams: how many may be open in one process (of a user, of an address, signed in or not), how long one lives, how
# much may wait for a slow client, and how many threads read the database for all of them.
STREAM_MAX_PER_USER = between("STREAM_MAX_PER_USER", 20, 1)
STREAM_MAX_PUBLIC = between("STREAM_MAX_PUBLIC", 1000, 1)
STREAM_MAX_PRIVATE = between("STREAM_MAX_PRIVATE", 2000, 1)
STREAM_MAX_PER_ADDRESS = between("STREAM_MAX_PER_ADDRESS", 50, 1)
STREAM_MAX_SECONDS = between("STREAM_MAX_SECONDS", 900, 1)
STREAM_MAX_PENDING = between("STREAM_MAX_PENDING", 1000, 1)
STREAM_THREADS = between("STREAM_THREADS", 4, 1, 64)
# WebSockets: how many may be open in one process, and how many threads call REST for all of them.
SOCKET_MAX = between("SOCKET_MAX", 1000, 1)
SOCKET_MAX_PER_ADDRESS = between("SOCKET_MAX_PER_ADDRESS", 50, 1)
SOCKET_THREADS = between("SOCKET_THREADS", 4, 1, 64)
# How many requests of one process may wait for the outcome of their order (`POST /orders?wait=`).
WAIT_MAX = between("WAIT_MAX", 500, 0)

# Celery: a message is a bell. If it is lost, doubled or late, its orders are only delayed.
CELERY_BROKER_URL = BROKER_URL
IS_REDIS_BROKER = is_redis(BROKER_URL)
CELERY_TASK_IGNORE_RESULT = True
# JSON in all that crosses a broker: whoever can write there could have a pickle run any code.
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = "orders"
CELERY_TASK_DEFAULT_QUEUE_TYPE = "classic" if IS_REDIS_BROKER else "quorum"
# Unlimited, because each acknowledgement that a frozen Redis swallows would count against a limit, until the worker
# receives nothing.
CELERY_WORKER_PREFETCH_MULTIPLIER = 0
CELERY_WORKER_CONCURRENCY = 1
CELERY_WORKER_POOL = "solo"
CELERY_WORKER_CONSUMER = "matching.worker.subscription:SafeConsumer"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = True
# The time in which a broker that is not Redis must greet. Celery's default is four seconds.
CELERY_BROKER_CONNECTION_TIMEOUT = TIMEOUT_SECONDS
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = transport_options(BROKER_URL)
CELERY_BEAT_SCHEDULER = "exchange.celery:Scheduler"
# Orders need none of this: what waits in the inbox is found by the workers' pollers. A task that no worker takes is
# dropped when the next one is due.
SYNCHRONISE_SECONDS, WARM_SECONDS = 300, 86_400
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "synchronise-depths": {
        "task": "matching.synchronise_depths",
        "schedule": SYNCHRONISE_SECONDS,
        "options": {"expires": SYNCHRONISE_SECONDS},
    },
    "delete-expired-sessions": {"task": "users.delete_expired_sessions", "schedule": 60, "options": {"expires": 60}},
    "fill-missing-keys": {"task": "users.fill_missing_keys", "schedule": 60, "options": {"expires": 60}},
    "count-volumes": {"task": "markets.count_volumes", "schedule": 60, "options": {"expires": 60}},
    "warm-caches": {"task": "matching.warm_caches", "schedule": WARM_SECONDS, "options": {"expires": WARM_SECONDS}},
    "fill-filters": {"task": "matching.fill_filters", "schedule": 300, "options": {"expires": 300}},
    "record-snapshots": {"task": "matching.record_snapshots", "schedule": 60, "options": {"expires": 60}},
}

# For workers and beat: the file that they touch while they work, and the markets that a worker without -Q leaves out.
LIVENESS_FILE = env.str("LIVENESS_FILE", default="")
if LIVENESS_FILE and not Path(LIVENESS_FILE).parent.is_dir():
    raise ImproperlyConfigured(f"LIVENESS_FILE is {LIVENESS_FILE}, in a folder that is not there")
WORKER_EXCEPT = frozenset(env.list("WORKER_EXCEPT", default=[]))

# The shared caches, which must be switched in all processes at once. They need the row locks of MySQL.
BALANCE_CACHE = choice("BALANCE_CACHE", "off", _ON + _OFF) in _ON
# How ids that were never issued are known without a query. The shared filter is a shared cache, as above.
ID_FILTER = choice("ID_FILTER", "highest", ("highest", "shared", "off"))
if (BALANCE_CACHE or ID_FILTER == "shared") and DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    raise ImproperlyConfigured("BALANCE_CACHE=on and ID_FILTER=shared need MySQL, because SQLite locks no rows")

# The engine.
ENGINE_BATCH_SIZE = between("ENGINE_BATCH_SIZE", 500, 1, 5000)
ENGINE_FILLS_PER_TRANSACTION = between("ENGINE_FILLS_PER_TRANSACTION", 250, 1, 2500)
# "off" reads the book anew for each batch: slow, and the reference that the book in memory is tested against.
ENGINE_BOOK_CACHE = choice("ENGINE_BOOK_CACHE", "on", _ON + _OFF) in _ON
# A book with so many resting orders has a snapshot stored, and a new one after so many events; 0 orders: never.
SNAPSHOT_ORDERS = between("SNAPSHOT_ORDERS", 20_000, 0)
SNAPSHOT_EVENTS = between("SNAPSHOT_EVENTS", 20_000, 1, 100_000)
ENGINE_TIME_BOX_SECONDS = between("ENGINE_TIME_BOX_SECONDS", 1.0, 0.01, 60.0)
# The pauses between the attempts at a command that fails, before its order is given up.
ENGINE_RETRY_MS = env.list("ENGINE_RETRY_MS", cast=int, default=[100, 200, 400])
if any(pause < 0 for pause in ENGINE_RETRY_MS):
    raise ImproperlyConfigured(f"ENGINE_RETRY_MS is {ENGINE_RETRY_MS}, no pause may be negative")
# A market in which so many orders fail one after the other is halted.
ENGINE_HALT_AFTER_FAILURES = between("ENGINE_HALT_AFTER_FAILURES", 5, 1)
# A market in which more orders wait, or a command for longer, takes no new orders for the moment.
INTAKE_MAX_WAITING = between("INTAKE_MAX_WAITING", 20_000, 1)
# How many of the orders that wait there may be one user's.
INTAKE_MAX_WAITING_PER_USER = between("INTAKE_MAX_WAITING_PER_USER", 2_000, 1)
INTAKE_MAX_AGE_SECONDS = between("INTAKE_MAX_AGE_SECONDS", 30.0, 0.1)

# Users and tokens.
AUTH_USER_MODEL = "users.User"
from exchange.account_settings import *  # noqa: E402, F403

SIMPLE_JWT = {
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ALGORITHM": "HS256",
    "ISSUER": "exchange",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=between("ACCESS_TOKEN_MINUTES", 15, 1, 525_600)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=between("REFRESH_TOKEN_DAYS", 7, 1, 3_650)),
    "USER_ID_CLAIM": "sub",
    # So many seconds may the issuer's clock be ahead. See base.web.tokens: no token lives longer.
    "LEEWAY": 30,
    "AUTH_TOKEN_CLASSES": ("base.web.tokens.AccessToken",),
    "UPDATE_LAST_LOGIN": False,
}

# How many API keys an account may have that are not revoked.
API_KEYS_MAX = between("API_KEYS_MAX", 20, 1, 1000)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["base.web.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["base.web.answers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "base.web.exports.ByCall",
    "DEFAULT_METADATA_CLASS": "base.web.answers.AllowedMethods",
    "EXCEPTION_HANDLER": "base.web.answers.answer_error",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_SCHEMA_CLASS": "base.web.openapi.operations.CallSchema",
}
SPECTACULAR_SETTINGS = OPTIONS
DATA_UPLOAD_MAX_MEMORY_SIZE = 65_536
# The amounts, by asset, above which an adjustment of a balance waits for a second person.
APPROVAL_ABOVE = parse_amounts("APPROVAL_ABOVE", env.list("APPROVAL_ABOVE", default=[]))
# How many entries at the end of X-Forwarded-For were written by proxies of our own.
TRUSTED_PROXIES = between("TRUSTED_PROXIES", 0, 0)
from exchange.limit_settings import *  # noqa: E402, F403

LANGUAGE_CODE, TIME_ZONE = "en", "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default="") or None
WHITENOISE_USE_FINDERS = True
# Other sites get no referrer. With "no-referrer" browsers send "Origin: null", and the admin refuses its own forms.
SECURE_REFERRER_POLICY = "same-origin"
# Where a proxy of ours says that a request came by TLS. It takes that header away from what clients send.
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 0 if DEMO else 31_536_000
# `manage.py check --deploy` does not see that our Csrf is Django's (003). It asks for a way from pages without TLS to
# TLS (008): with deploy/compose.tls.yml nginx has no other port. And for a promise for the whole domain (005, 021),
# which is not the exchange's.
SILENCED_SYSTEM_CHECKS = [f"security.W{number}" for number in ("003", "005", "008", "021")]
# What watches the exchange, for the admin to link to.
FLOWER_URL, GRAFANA_URL = read_link("FLOWER_URL"), read_link("GRAFANA_URL")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO

# The paths of the system that this one replaces, for tools that know no others.
ACTUATOR_PATHS = choice("ACTUATOR_PATHS", "off", _ON + _OFF) in _ON
# Where a worker shows its own counters; 0 shows them nowhere. Web and streams have /metrics.
METRICS_PORT = between("METRICS_PORT", 0, 0, 65_535)
# Read by prometheus-client, which would fail at the first number that it counts.
counts = env.str("PROMETHEUS_MULTIPROC_DIR", default="")
if not counts:
    # It goes by whether the variable is there, and would count in the working directory.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
elif not Path(counts).is_dir():
    raise ImproperlyConfigured(f"PROMETHEUS_MULTIPROC_DIR is {counts}, which is no folder")

LOG_LEVEL = choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOG_FORMAT = choice("LOG_FORMAT", logs.JSON, logs.FORMATS)
LOGGING = logs.configuration(LOG_FORMAT, LOG_LEVEL)
_PASSWORDS = [unquote(urlsplit(url).password or "") for url in (DATABASE_URL, REDIS_URL, CACHE_URL, BROKER_URL)]
logs.hide(
    word
    for word in (SECRET_KEY, JWT_SIGNING_KEY, *API_KEY_SECRETS, DATABASES["default"].get("PASSWORD"), *_PASSWORDS)
    if word
)
