"""Settings of what one client may take from the others. `settings` takes all of it."""

import re

from django.core.exceptions import ImproperlyConfigured

from exchange.environment import between, choice, env, parse_most, parse_rate

# In how many seconds a request must have arrived, and how many connections an address may have open in one process. The
# second holds where clients connect to the process themselves; behind a proxy, which has all of them, the proxy counts.
REQUEST_SECONDS = between("REQUEST_SECONDS", 10.0, 0.1)
CONNECTION_MAX_PER_ADDRESS = between("CONNECTION_MAX_PER_ADDRESS", 256, 1)
# Lists as CSV: how many a process writes at the same time, and how long one may take.
EXPORTS_MAX = between("EXPORTS_MAX", 2, 1)
EXPORT_SECONDS = between("EXPORT_SECONDS", 300, 1)
# How many batches of more than ten orders a process stores at the same time; None switches the limit off. With the
# exports of above, which are counted by themselves, they should leave a thread or more of WEB_THREADS to all else.
BATCHES_MAX = parse_most("BATCHES_MAX", env.str("BATCHES_MAX", default="1"))
# The asset in which the volumes of fee tiers are counted.
FEE_VOLUME_ASSET = env.str("FEE_VOLUME_ASSET", default="USD")
if re.fullmatch(r"[A-Z0-9]{1,16}", FEE_VOLUME_ASSET, re.ASCII) is None:
    raise ImproperlyConfigured(f"FEE_VOLUME_ASSET is {FEE_VOLUME_ASSET!r}, it must be the code of an asset")
# Requests a second of each user, or of each address; None switches the limit off.
RATE_LIMIT = parse_rate("RATE_LIMIT", env.str("RATE_LIMIT", default="10/s"))

# Whether programs that say that they are MCP servers are let in.
_YES, _NO = ("1", "true", "True", "on"), ("0", "false", "False", "off")
MCP_ALLOWED = choice("MCP_ALLOWED", "off", _YES + _NO) in _YES
