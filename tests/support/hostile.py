"""Wrong and careless values for a field, a parameter or a body: as JSON values, as texts, as bytes."""

import json
from typing import Any

LONG = 70_000
DEEP: Any = 1
for _ in range(40):
    DEEP = [DEEP]
NUMBERS = ["1e3", "1e999999999", "1e-999999999", "NaN", "sNaN", "Infinity", "-Infinity", "0x10", "0b1", "1_000", "1,5"]
NUMBERS += [
    "1.000.0",
    ".5",
    "5.",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "\t1",
    "--1",
    "1-",
    "",
    "-0",
    "0",
    "-1",
    "00",
    "1/2",
    "1%",
    "$1",
]
NUMBERS += ["\uff11\uff12", "\u0663", "\u00b2", "\u2167", "1\x00", "1\u200b", "\u22121", "0.000000001", "9" * 5000]
NUMBERS += ["1000000000000", str(2**31), str(2**63), str(2**64), "-" + str(2**63), "0" * 300 + "1", "1." + "0" * 300]
TEXTS = [
    "'",
    '"',
    "\\",
    "`",
    "%",
    "%s",
    "%00",
    "%n" * 9,
    "{0}",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "' OR '1'='1",
    "1; DROP TABLE orders",
]
TEXTS += [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "..%2f",
    "\r\nSet-Cookie: a=b",
    "a\nb",
    "a\tb",
    "\x00",
    "\x07",
    "\x7f",
    "\x1b[2J",
]
TEXTS += [
    "\ud800",
    "\ufeffBTC-USD",
    "\u202eUSD",
    "BTC\u2010USD",
    "btc-usd",
    "BTC-USD ",
    " BTC-USD",
    "BTC-USD\n",
    "BTC-USD\x00",
    "BTC",
    "-",
    "NOPE-USD",
]
TEXTS += [
    "null",
    "true",
    "undefined",
    "None",
    "[]",
    "{}",
    "*",
    "@",
    "a b",
    "a" * 129,
    "a" * 300,
    "a" * LONG,
    "\U0001f980",
    "e\u0301",
    "\uff22TC-USD",
]
TEXTS += [
    "admin",
    "root",
    "alice",
    "ALICE",
    "\u0430lice",
    "alice@example.com",
    "a@b",
    "a@b@c.d",
    "@example.com",
    "a@b\n.c",
    "1970-01-01",
    "2026-02-30T00:00:00Z",
]
TEXTS += [
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+99:00",
    "99999999999999",
    "-1000",
    "0000-00-00",
    "now",
    "infinity",
    "10.0.0.0/33",
    "::/129",
    "999.1.1.1",
]
OTHERS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    -0.0,
    1e308,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    -(2**63),
    10**30,
    10**400,
]
OTHERS += [
    [],
    {},
    [None],
    [[]],
    [{}],
    ["BUY"],
    {"BUY": 1},
    {"": ""},
    {"$gt": ""},
    {"amount": "1"},
    [1] * 2000,
    ["a"] * 2000,
    DEEP,
]
OTHERS += [
    {str(n): n for n in range(2000)},
    [{"symbol": "BTC-USD"}] * 200,
    {"__proto__": {"isStaff": True}},
    {"userId": 1},
]
VALUES = [*OTHERS, *NUMBERS, *TEXTS]


ORDER = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "100", "quantity": "1"}
BODIES = [
    b" ",
    b"{",
    b"}",
    b"[",
    b"null",
    b"true",
    b"1",
    b'"x"',
    b"[]",
    b"[{}]",
    b"{}{}",
    b"{}x",
    b"{'a':1}",
    b'{"a":1,}',
]
BODIES += [
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"\x00",
    b"\x80",
    b'{"a":"\x01"}',
    b'{"a":"\\ud800"}',
    b'{"a":"\\x"}',
    b'{"\\u0000":1}',
]
BODIES += [
    b'{"a":1,"a":2}',
    b'{"a":{"b":1,"b":2}}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":1e999999}',
    b'{"a":01}',
    b'{"a":+1}',
]
BODIES += [
    b"[" * 1000,
    b'{"a":' * 1000 + b"1" + b"}" * 1000,
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":"' + b"x" * LONG + b'"}',
]
BODIES += [json.dumps(ORDER).encode(encoding) for encoding in ("utf-16", "utf-32")]
BODIES += [
    b"a=1&b=2",
    b"<a/>",
    b"--x\r\n\r\n",
    b"\x1f\x8b\x08\x00" + b"\x00" * 40,
    b"// {}",
    b"/**/{}",
    json.dumps([ORDER] * 300).encode(),
]
MEDIA_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "",
    "x",
]
