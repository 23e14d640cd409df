# SPDX-License-Identifier: Apache-2.0
"""One statement: the rules S1 to S14 of ../claims.md, and its grammar."""

import base64
import hashlib
import io

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DOMAIN = b"croft/claim/1\n"
MAX_STATEMENT = 1024
MAX_TERM = 400 * 24 * 3600
MAX_UNIX = 253402300799
MAX_AMOUNT = 1 << 60
MAX_FAN_OUT = 1024
RESOURCES = 14
PORTS_IN = 12

CAPACITY, TICKET, REDEEM, ASK, HOLD, LEASE, CLOSE, REVOKE, REJECT, GRANT = range(1, 11)


class Broken(Exception):
    """A rule of the page is broken: its number, and what was found."""

    def __init__(self, rule, found=""):
        super().__init__(f"{rule}: {found}")
        self.rule = rule


def need(ok, rule, found=""):
    if not ok:
        raise Broken(rule, found)


# The fields of each kind by key, from claims.cddl: those that must be there, and
# those that may.
FIELDS = {
    CAPACITY: ({1, 2, 3, 4, 5, 6}, {7, 40}),
    TICKET: ({1, 2, 3, 4, 5, 6, 8, 9, 10}, {40}),
    REDEEM: ({1, 2, 3, 4, 5, 9, 10, 11, 12}, {13, 14, 28, 40}),
    ASK: ({1, 2, 3, 4, 5, 11, 12, 15}, {13, 14, 28, 33, 34, 35, 40, 41}),
    HOLD: ({1, 3, 4, 5, 8, 9, 16}, set()),
    LEASE: ({1, 3, 4, 5, 8, 9, 11, 15}, {13, 14, 17, 18, 19, 20, 21, 22, 23, 28, 33, 34, 35, 39, 40}),
    CLOSE: ({1, 2, 9, 24}, {25}),
    REVOKE: ({1, 9, 24, 38}, {25}),
    REJECT: ({1, 9, 24, 26, 27}, {25, 29, 30, 31, 32}),
    GRANT: ({1, 4, 5, 8, 36, 37}, {11}),
}

# What type of value a key has; the tranche of a capacity has key 2.
BYTES = {1: 32, 2: 32, 8: 32, 9: 32, 12: 16, 13: 32, 17: 32, 23: 32, 28: 32, 29: 32, 30: 32}
TEXTS = {11, 15, 20, 25, 39, 41}
LABELS = {11, 15, 20, 39}
DEFAULTS = (0, "", b"\0" * 32, [], {})


def plain(value):
    """plain holds S2 for what stands within: no tag, float, null or other thing."""
    if type(value) is dict:
        return all(plain(k) and plain(v) for k, v in value.items())
    if type(value) is list:
        return all(map(plain, value))
    return type(value) in (int, bytes, str)


def decode(data, rule):
    """decode reads the one item of CBOR that data is, in any form."""
    stream = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(stream).decode()
    except Exception as e:  # whatever the decoder makes of a stranger's bytes
        raise Broken(rule, repr(e)) from e
    need(stream.tell() == len(data), rule, "bytes after the item")
    return value


def canonical(data, value):
    """canonical holds S2: value, decoded from data, encodes to data again."""
    need(plain(value) and cbor2.dumps(value, canonical=True) == data, "S2", "not in core deterministic form")


class Statement:
    """A statement that keeps all but S11. Its fields are self[key]; absent ones are None."""

    def __init__(self, data):
        need(len(data) <= MAX_STATEMENT, "S4", f"{len(data)} bytes")
        self.data = data
        self.payload, self.signature = frame(data)
        self.map = decode(self.payload, "S2")
        canonical(self.payload, self.map)
        need(type(self.map) is dict and all(type(k) is int for k in self.map), "S3", "not a map with integer keys")
        self.kind = self.map.get(0)
        need(type(self.kind) is int and self.kind in FIELDS, "S3", f"kind {self.kind}")
        must, may = FIELDS[self.kind]
        keys = set(self.map) - {0}
        need(must <= keys <= must | may, "S3", f"fields {sorted(keys)}")
        for key in keys:
            self._typed(key)
        for key in keys & may:
            need(self[key] not in DEFAULTS, "S2", f"default value of {key}")
        self._fields()

    def __getitem__(self, key):
        return self.map.get(key)

    def _typed(self, key):
        value = self.map[key]
        if key == 2 and self.kind == CAPACITY:
            ok = type(value) is int
        elif key in BYTES:
            ok = type(value) is bytes and len(value) == BYTES[key]
        elif key in TEXTS:
            ok = type(value) is str
        elif key == 3:
            ok = type(value) is dict and all(type(x) is int and x >= 0 for pair in value.items() for x in pair)
        elif key == 14:
            ok = type(value) is list and all(
                type(port) is list and len(port) == 3 and all(type(x) is int and 0 <= x < 65536 for x in port) for port in value)
        else:
            ok = type(value) is int
        need(ok, "S3", f"type of {key}")

    def _fields(self):
        for key in {1, 2, 8, 28} & set(self.map):
            if not (key == 2 and self.kind == CAPACITY):
                need(usable(self[key]), "S5", f"principal {key}")
        acts = self[8] if self.kind == LEASE else self[1]
        need(self[28] is None or self[28] != acts, "S13", "owner is who acts")
        need(self.kind != GRANT or self[8] != self[1], "S13", "grant to oneself")
        need(self[9] is None or any(self[9]), "S5", "names no claim")
        self._times()
        if self[3] is not None:
            need(self[3], "S7", "empty")
            need(all(r < RESOURCES for r in self[3]), "S7", "unknown resource")
            need(0 not in self[3].values(), "S2", "zero is written")
            need(max(self[3].values()) <= MAX_AMOUNT, "S7", "too much")
        self._numbers()
        for key in LABELS & set(self.map):
            need(label(self[key]), "S9", f"label {self[key]!r}")
        for key in {25, 41} & set(self.map):
            need(len(self[key].encode()) <= 200 and all(map(prints, self[key])), "S9", "text")
        self._ports()

    def _times(self):
        for key in {4, 5, 16, 18, 24, 32, 38} & set(self.map):
            need(1 <= self[key] <= MAX_UNIX, "S6", f"instant {self[key]}")
        if self[4] is not None:
            need(0 < self[5] - self[4] <= MAX_TERM, "S6", f"term [{self[4]}, {self[5]})")
        for key in {16, 18} & set(self.map):
            need(self[key] <= self[5], "S6", "after the term")

    def _numbers(self):
        def within(rule, bounds):
            for key, (low, high) in bounds.items():
                need(key not in self.map or low <= self[key] <= high, rule, f"{self[key]} in {key}")

        within("S8", {6: (100, 10000), 7: (1, MAX_TERM), 10: (0, 63), 19: (1, MAX_TERM), 21: (1, MAX_AMOUNT), 22: (1, MAX_AMOUNT), 40: (1, MAX_FAN_OUT)})
        within("S8", {2: (0, 15)} if self.kind == CAPACITY else {})
        within("S12", {33: (1, 1), 34: (1, 1000), 35: (1, 1)})
        need((self[33] is None) == (self[34] is None), "S12", "a weight is of an evictable lease")
        within("S14", {26: (1, 4), 27: (0, 14), 31: (1, RESOURCES), 36: (1, 127)})
        within("S3", {37: (0, 2**64 - 1)})

    def _ports(self):
        ports = self[14] or []
        need(len(ports) <= min(16, (self[3] or {}).get(PORTS_IN, 0)), "S10", f"{len(ports)} ports")
        numbers = [(proto, number) for proto, number, _ in ports if number]
        need(len(numbers) == len(set(numbers)), "S10", "a number twice")
        for proto, number, inside in ports:
            need(proto in (6, 17) and inside > 0 and (number > 0 or self.kind != LEASE), "S10", "port")

    @property
    def id(self):
        return hashlib.sha256(DOMAIN + self.payload).digest()

    @property
    def issuer(self):
        return self[1]

    @property
    def node(self):
        """The node where it counts: issuer of what nodes issue, else named by key 2."""
        return self[1] if self.kind in (CAPACITY, HOLD, LEASE, REVOKE, REJECT) else self[2]

    def amount(self, resource):
        return self[3].get(resource, 0)

    def covers(self, instant):
        return self[4] <= instant < self[5]

    def verify(self):
        """S11, the one costly rule: callers ask it last."""
        need(signed(self.issuer, DOMAIN + self.payload, self.signature), "S11")
        return self


def open_statement(data):
    return Statement(data).verify()


def frame(data):
    """frame holds S1, and S2 for the frame."""
    pair = decode(data, "S1")
    need(type(pair) is list and len(pair) == 2 and all(type(x) is bytes for x in pair), "S1", "not a pair of byte strings")
    need(len(pair[1]) == 64, "S1", "signature's length")
    canonical(data, pair)
    return pair


P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


def usable(key):
    """usable holds S5 for one principal."""
    y = int.from_bytes(key, "little") & (2**255 - 1)
    return any(key) and y < P and not small(y)


def small(y):
    """small reports whether a point with this y is of order 1, 2, 4 or 8: eight times it is neutral."""
    if y in (0, 1, P - 1):
        return True
    # Order 8: doubling gives order 4, whose y is 0. On -x^2 + y^2 = 1 + dx^2y^2
    # the y of a double is (y^2 + x^2) / (1 - dx^2y^2), so x^2 = -y^2, and the
    # curve's equation becomes 2y^2 = 1 - dy^4.
    return (D * pow(y, 4, P) + 2 * y * y - 1) % P == 0


def signed(key, message, signature):
    """signed verifies as RFC 8032 does in section 5.1.7 without the cofactor."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def label(s):
    inner = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    return 1 <= len(s) <= 63 and set(s) <= inner and s[0] != "-" and s[-1] != "-"


HIDDEN = [(0x7F, 0xA0), (0xAD, 0xAD), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x180E, 0x180E), (0x2000, 0x200F),
          (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000), (0xD800, 0xF8FF), (0xFEFF, 0xFEFF)]


def prints(character):
    c = ord(character)
    return 0x20 <= c < 0xFFF0 and not any(low <= c <= high for low, high in HIDDEN)


def text_form(b):
    """The text form of a principal or id."""
    return base64.b32encode(b).decode().lower().rstrip("=")


def from_text(s):
    b = base64.b32decode(s.upper() + "====")
    if len(b) != 32 or text_form(b) != s:
        raise ValueError(f"{s!r} is no text form")
    return b
