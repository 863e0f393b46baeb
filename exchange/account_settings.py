"""Settings of accounts: how passwords are checked, and what guessing them is limited by. `settings` takes all of it."""

from typing import Any

from exchange.environment import between, env, parse_failures, parse_rate

AUTHENTICATION_BACKENDS = ["users.signing_in.PasswordBackend"]
# Django's BCryptSHA256PasswordHasher, by threads apart from those of requests.
PASSWORD_HASHERS = ["base.web.passwords.Hasher"]
# How many passwords the processes of this machine hash at the same time, and how many requests of one process may be
# at it or wait for it.
HASH_THREADS = between("HASH_THREADS", 1, 1, 16)
HASH_PLACES = between("HASH_PLACES", 2, 1)
_VALIDATORS: dict[str, dict[str, Any]] = {
    "MinimumLength": {},
    # The name, the address or a part of it, also with a letter more or less.
    "UserAttributeSimilarity": {"user_attributes": ("username", "email"), "max_similarity": 0.9},
    "CommonPassword": {},
    "NumericPassword": {},
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator", "OPTIONS": options}
    for name, options in _VALIDATORS.items()
]
# Wrong passwords of a name at one address, of one address, and of a name at strange addresses: from so many on each
# brings a pause, which doubles up to the longest.
LOCKOUT_FAILURES = parse_failures("LOCKOUT_FAILURES", env.str("LOCKOUT_FAILURES", default="5,20,20"))
LOCKOUT_MAX_SECONDS = between("LOCKOUT_MAX_SECONDS", 900, 1, 86_400)

# Requests a second of one address for what concerns accounts, whatever token is sent; None switches the limit off.
_SIGN_INS = parse_rate("SIGN_IN_LIMIT", env.str("SIGN_IN_LIMIT", default="5/s"))
ACCOUNT_LIMITS = {
    "sign-ins": _SIGN_INS,
    "passwords": _SIGN_INS,
    "registrations": parse_rate("REGISTRATION_LIMIT", env.str("REGISTRATION_LIMIT", default="5/s")),
    "refreshes": parse_rate("REFRESH_LIMIT", env.str("REFRESH_LIMIT", default="10/s")),
}
