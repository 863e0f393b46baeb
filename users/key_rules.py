"""The rules of what an API key is made of."""

import base64
import binascii
import re
from enum import Enum
from ipaddress import IPv6Network, ip_network

from pydantic_core import PydanticCustomError, core_schema

from base.web.rules import Rule

# The beginning of an Ed25519 key as openssl writes it (DER of SubjectPublicKeyInfo, RFC 8410).
_DER = bytes.fromhex("302a300506032b6570032100")
_RAW_LENGTH = 32
_LONGEST_NETWORK = 64


def some_of(words: type[Enum]) -> Rule:
    """A list of at least one of a few words, spelled exactly so."""
    known = [word.value for word in words]
    each = core_schema.literal_schema(known)
    choice = ("INVALID_CHOICE", f"must hold only {', '.join(known)}")
    return Rule(
        core_schema.list_schema(each, strict=True, min_length=1, max_length=len(known)),
        {
            "list_type": ("LIST_REQUIRED", "must be a list"),
            "too_short": ("LIST_EMPTY", "must not be empty"),
            "too_long": ("LIST_TOO_LONG", f"must have at most {len(known)} items"),
            **dict.fromkeys(("literal_error", "string_unicode"), choice),
        },
    )


def networks(most: int) -> Rule:
    """A list of addresses and networks of IPv4 and IPv6. It may be left out, but an empty one is
    refused, because it could mean all addresses or none.
    """
    text = core_schema.str_schema(strict=True, max_length=_LONGEST_NETWORK)
    each = core_schema.no_info_after_validator_function(_network, text)
    no_network = ("INVALID_FORMAT", "must hold addresses or networks, such as 10.0.0.0/8 or 2001:db8::/32")
    return Rule(
        core_schema.list_schema(each, strict=True, min_length=1, max_length=most),
        {
            "list_type": ("LIST_REQUIRED", "must be a list"),
            "too_short": ("LIST_EMPTY", "must not be empty: leave it out for any address"),
            "too_long": ("LIST_TOO_LONG", f"must have at most {most} items"),
            "string_type": ("STRING_REQUIRED", "must hold strings"),
            **dict.fromkeys(("string_too_long", "string_unicode", "no_network"), no_network),
        },
        described_by=core_schema.list_schema(text, min_length=1, max_length=most),
    )


def _network(text: str) -> str:
    """As it is compared: an address is a network of one, and an IPv4 network has only one way to be written."""
    try:
        network = ip_network(text)
    except ValueError as error:
        raise PydanticCustomError("no_network", "no network") from error
    # An IPv4 client is compared as one, and a zone means something on one host alone.
    if isinstance(network, IPv6Network) and (network.network_address.ipv4_mapped is not None or "%" in text):
        raise PydanticCustomError("no_network", "no network")
    return str(network)


def _public_key(text: str) -> bytes:
    """Base64 of the 32 bytes or of openssl's DER; or its PEM."""
    lines = re.sub(r"-----(BEGIN|END) PUBLIC KEY-----|\s", "", text)
    try:
        key = base64.b64decode(lines, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PydanticCustomError("no_key", "no key") from error
    key = key.removeprefix(_DER)
    if len(key) != _RAW_LENGTH:
        raise PydanticCustomError("no_key", "no key")
    return key


_NO_KEY = ("INVALID_FORMAT", "must be an Ed25519 public key: 32 bytes in base64, or the PEM of openssl")
_KEY_TEXT = core_schema.str_schema(strict=True, max_length=300)
PUBLIC_KEY = Rule(
    core_schema.no_info_after_validator_function(_public_key, _KEY_TEXT),
    {
        "string_type": ("STRING_REQUIRED", "must be a string"),
        "string_too_long": ("TOO_LONG", "must have at most 300 characters"),
        **dict.fromkeys(("string_unicode", "no_key"), _NO_KEY),
    },
    described_by=_KEY_TEXT,
)
