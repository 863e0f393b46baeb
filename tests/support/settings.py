"""The product's settings, with cheap passwords: for pytest and for the processes that the tests start."""

from exchange.settings import *  # noqa: F403

# bcrypt takes a quarter of a second for each password, on purpose. A test of its own uses what production uses.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
