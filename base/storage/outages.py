"""Telling an outage from a defect: what the database or Redis could not do now is no fault of the order in hand."""

from django.db import DatabaseError, InterfaceError
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from base.storage.deadlocks import TRANSIENT_CODES

# A list of what is known, because the rest must be taken for a defect: the driver's classes do not tell. It calls a
# value that does not fit an OperationalError, and a missing table a ProgrammingError; and an order that is tried for
# ever stops its market.
# Disk full or failing, too many connections, shutting down, out of memory or locks, node not ready.
_BUSY = {3, 1021, 1026, 1030, 1037, 1038, 1040, 1041, 1047, 1053, 1114, 1180, 1203, 1206, 1226, 1297}
_CUT_OFF = {1077, 1078, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 1969, 3024, 4031}
_READ_ONLY = {1223, 1290, 1792, 1836}
# The schema is being changed, or a grant is missing: a mistake of the operator's that concerns every order.
_NOT_READY = {1044, 1045, 1049, 1054, 1142, 1143, 1146, 1227, 1412}
_CLIENT_ERRORS = range(2000, 2100)  # no connection, or lost on the way: gone away, lost, refused, timed out
_CODES = TRANSIENT_CODES | _BUSY | _CUT_OFF | _READ_ONLY | _NOT_READY
_SQLITE = ("locked", "disk", "unable to open", "readonly", "no such table", "no such column")


def is_outage(error: BaseException) -> bool:
    """Whether the same is worth trying again as soon as the servers are well."""
    if isinstance(error, DatabaseError):
        return _is_infrastructure(error)
    return isinstance(error, InterfaceError | RedisError | BrokerError | OSError | MemoryError)


def _is_infrastructure(error: DatabaseError) -> bool:
    code = error.args[0] if error.args else None
    if isinstance(code, int):
        return code in _CODES or code in _CLIENT_ERRORS
    return any(word in str(error) for word in _SQLITE)
