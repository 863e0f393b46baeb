"""Names that nobody may register, because others would take their owner for the exchange or its staff.

Operators may give them in the admin. Names are plain ASCII, so there are no letters of other alphabets that look the
same; what looks the same within ASCII is folded here, and nowhere else.
"""

from base.storage.fields import caseless

_PLAIN = str.maketrans({**dict.fromkeys("._@+-"), "0": "o", "1": "l", "i": "l", "3": "e", "4": "a", "5": "s", "7": "t"})


def _skeleton(name: str) -> str:
    """What the eye reads: `R00t`, `r.o.o.t` and `root` are one."""
    return caseless(name).translate(_PLAIN)


_RESERVED = frozenset(
    map(
        _skeleton,
        (
            *("admin", "administrator", "root", "superuser", "sysadmin", "system", "daemon", "owner"),
            *("staff", "operator", "operators", "treasurer", "treasurers", "auditor", "auditors", "moderator"),
            *("support", "help", "helpdesk", "security", "abuse", "postmaster", "webmaster", "hostmaster", "info"),
            *("exchange", "official", "fees", "treasury", "anonymous", "everybody", "nobody", "null", "undefined"),
            # Whose orders fill those with an ordered fate.
            "sandbox",
        ),
    )
)


def is_reserved(name: str) -> bool:
    return _skeleton(name) in _RESERVED
