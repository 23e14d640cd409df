# SPDX-License-Identifier: Apache-2.0
"""The audit log: heads (H), inclusion (I), consistency (C), forks (F), words (W), answers (Q) and sightings (G) of ../audit.md."""

import hashlib
import ipaddress

import cbor2

from statement import canonical, decode, frame, need, signed, text_form, usable, Broken

DOMAIN = b"croft/audit-head/1\n"
MAX_HEAD = 256
MAX_PROOF = 98304
MAX_SEGMENT = 128
MAX_LEAF = 1040
MAX_PATH = 40
MAX_OPENINGS = 32
INCLUSION, CONSISTENCY, FORK = 1, 2, 3
U64 = 1 << 64


def uint(value, bits=64):
    return type(value) is int and 0 <= value < 1 << bits


def integer(value):
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def digest(value):
    return type(value) is bytes and len(value) == 32


def path(value):
    return type(value) is list and all(map(digest, value))


def table(value, must, may=()):
    """table reports whether value is a map with these keys and types."""
    types = dict(must) | dict(may)
    return (type(value) is dict and set(dict(must)) <= set(value) <= set(types)
            and all(types[key](item) for key, item in value.items()))


def read(data, limit, rule):
    """read decodes one item of at most limit bytes in core deterministic form."""
    need(len(data) <= limit, rule, f"{len(data)} bytes")
    value = decode(data, rule)
    try:
        canonical(data, value)
    except Broken as broken:
        raise Broken(rule, "not in core deterministic form") from broken
    return value


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaf, index, size, hashes):
    """root_of follows an audit path, or returns None (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        return None
    fn, sn, r = index, size - 1, leaf
    for p in hashes:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return r if sn == 0 else None


def goes_on(old_root, old, new_root, new, hashes):
    """goes_on follows a consistency path (RFC 9162, section 2.1.4.2)."""
    if not hashes:
        return False
    if old & (old - 1) == 0:
        hashes = [old_root] + hashes
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = hashes[0]
    for c in hashes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == old_root and sr == new_root and sn == 0


class Head:
    """A head that keeps H1 to H3."""

    def __init__(self, data):
        need(len(data) <= MAX_HEAD, "H1", f"{len(data)} bytes")
        try:
            payload, signature = frame(data)
        except Broken as broken:
            raise Broken("H1", str(broken)) from broken
        fields = read(payload, MAX_HEAD, "H1")
        need(table(fields, {1: digest, 2: uint, 3: digest, 4: integer}), "H1", "fields")
        self.node, self.size, self.root, self.at = (fields[key] for key in (1, 2, 3, 4))
        need(usable(self.node), "H2", "node")
        need(1 <= self.size <= 1 << 40 and self.at > 0, "H2", f"size {self.size} at {self.at}")
        need(signed(self.node, DOMAIN + payload, signature), "H3")
        self.id = hashlib.sha256(DOMAIN + payload).digest()

    def has(self, index, leaf, hashes):
        return root_of(leaf, index, self.size, hashes) == self.root

    def __str__(self):
        return f"node={text_form(self.node)} size={self.size}"


def statement(data, limit, domain, rules):
    """statement reads a signed map, and returns its fields and a check of the signature."""
    syntax, signature_rule = rules
    need(len(data) <= limit, syntax, f"{len(data)} bytes")
    try:
        payload, signature = frame(data)
    except Broken as broken:
        raise Broken(syntax, str(broken)) from broken
    fields = decode(payload, syntax)
    need(cbor2.dumps(fields, canonical=True) == payload, syntax, "not in core deterministic form")  # what is in it is the caller's to check
    return fields, lambda key: need(signed(key, domain + payload, signature), signature_rule)


def word(data):
    """word holds W1 to W3, and returns what a witness says."""
    fields, check = statement(data, 512, b"croft/audit-witness/1\n", ("W1", "W3"))
    need(table(fields, {1: digest, 2: octets, 3: uint, 4: integer}), "W1", "fields")
    need(usable(fields[1]), "W2", "witness")
    seen = Head(fields[2])
    need(1 <= fields[3] <= seen.size and fields[4] > 0 and fields[1] != seen.node, "W2", "impossible")
    check(fields[1])
    return f"word witness={text_form(fields[1])} first={fields[3]} {seen}"


def answer(data):
    """answer holds Q1 to Q3, and returns what a node asserts."""
    def end(value):
        return type(value) is list and len(value) == 2 and octets(value[0]) and uint(value[1], 16)

    fields, check = statement(data, 20480, b"croft/audit-answer/1\n", ("Q1", "Q3"))
    need(table(fields, {1: digest, 2: end, 3: end, 5: integer, 6: integer, 11: integer},
               {4: u(8), 7: lambda v: type(v) is list and v != [] and all(map(text, v)), 8: lambda v: v is True, 9: lambda v: v is True,
                10: lambda v: integer(v) and v != 0, 12: lambda v: uint(v, 63) and v != 0}) and fields.get(4) != 0, "Q1", "fields")
    slices = fields.get(7, [])
    need(usable(fields[1]), "Q2", "node")
    need(len(fields[2][0]) in (4, 16) and len(fields[3][0]) in (4, 16) and fields[5] > 0 and fields[11] > 0
         and 0 <= fields[6] <= 3600 * 10**9 and fields.get(10, 0) >= 0, "Q2", "impossible")
    need(fields.get(12, 0) <= 65536, "Q2", "withheld")
    need(len(slices) <= 64 and all(name(s, 256) for s in slices), "Q2", "slices")
    need(all(a.encode() < b.encode() for a, b in zip(slices, slices[1:])), "Q2", "order")
    check(fields[1])
    return f"answer node={text_form(fields[1])} slices={len(slices)}"


def unicast(value):
    """unicast reports whether these are the bytes of one host's address, in its plain form."""
    a = ipaddress.ip_address(value)
    if a.version == 4:
        return not (a.is_loopback or a.is_multicast or a.is_link_local or a.is_unspecified or value == b"\xff" * 4)
    return not (a.is_loopback or a.is_multicast or value[0] == 0xfe and value[1] & 0xc0 == 0x80 or a.is_unspecified or a.ipv4_mapped)


def sighting(data):
    """sighting holds G1 to G3, and returns whom a node saw."""
    fields, check = statement(data, 192, b"croft/sighting/1\n", ("G1", "G3"))
    need(table(fields, {1: digest, 2: octets, 3: digest, 4: integer}), "G1", "fields")
    need(len(fields[2]) in (4, 16) and unicast(fields[2]) and usable(fields[1]) and usable(fields[3]) and fields[4] > 0, "G2", "impossible")
    check(fields[1])
    return f"sighting node={text_form(fields[1])} who={text_form(fields[3])} at={fields[4]}"


def segment(data):
    """segment holds I1."""
    s = read(data, MAX_SEGMENT, "I1")
    need(table(s, {1: uint, 2: integer, 3: integer, 4: uint, 5: uint, 7: digest}, {6: uint}), "I1", "fields")
    need(s.get(6) != 0, "I1", "0 is written")
    need(s[1] < 1 << 40 and 0 < s[5] <= 1 << 22 and s[4] + s.get(6, 0) <= s[5] and s[2] <= s[3], "I1", "impossible")
    return s


def octets(value):
    return type(value) is bytes


def text(value):
    return type(value) is str


def u(bits):
    return lambda value: uint(value, bits)


def port(value):
    return type(value) is list and len(value) == 3 and uint(value[0], 8) and uint(value[1], 16) and uint(value[2], 16)


GRAMMAR = {
    1: [text, u(32), u(8), u(8), octets, u(16), octets, u(16), uint, uint, integer, integer, u(8)],
    2: [uint, uint, integer, uint, uint, uint, uint, uint, lambda v: type(v) is list and all(map(uint, v))],
    3: [lambda v: table(v, {0: text, 1: text, 2: integer, 3: u(16), 4: u(16), 6: integer},
                        {5: lambda p: type(p) is list and p != [] and all(map(port, p)), 7: lambda n: integer(n) and n != 0})],
    4: [u(8), integer, uint, uint, text],
}
NAMES = {1: "rows", 2: "epochs", 3: "tenures", 4: "alarms"}


def name(value, limit):
    return 1 <= len(value.encode()) <= limit


def leaf(data):
    """leaf holds I4 and I5, and returns the leaf's kind."""
    value = read(data, MAX_LEAF, "I4")
    need(type(value) is list and value and value[0] in GRAMMAR, "I4", "kind")
    kind, rest = value[0], value[1:]
    need(len(rest) == len(GRAMMAR[kind]) and all(ok(item) for ok, item in zip(GRAMMAR[kind], rest)), "I4", "fields")
    if kind == 1:
        sliver, place, direction, _, source, _, destination, _, _, _, first, last, _ = rest
        ok = (name(sliver, 64) and place < 1 << 31 and direction < 2 and len(source) == len(destination)
              and len(source) in (0, 4, 16) and first <= last)
    elif kind == 2:
        ok = rest[2] > 0 and len(rest[8]) <= 32 and (not rest[8] or rest[8][-1] != 0)
    elif kind == 3:
        t = rest[0]
        ok = (name(t[0], 64) and name(t[1], 256) and t[2] >= 0 and t[3] <= t[4] and len(t.get(5, [])) <= 16 and t[6] > 0
              and t.get(7, t[6]) >= t[6])
    else:
        ok = rest[0] > 0 and rest[1] > 0 and len(rest[4].encode()) <= 400
    need(ok, "I5", "impossible")
    return kind


def opening(value):
    return (type(value) is list and len(value) == 4 and uint(value[0]) and octets(value[1]) and len(value[1]) == 16
            and octets(value[2]) and path(value[3]))


def split(value):
    return type(value) is list and len(value) == 5 and uint(value[0]) and digest(value[1]) and path(value[2]) and digest(value[3]) and path(value[4])


def regrown(value):
    return type(value) is list and len(value) == 2 and digest(value[0]) and path(value[1])


def written(check):
    """written is an optional list: where it is empty it is left out."""
    return lambda value: type(value) is list and value != [] and all(map(check, value))


SHAPES = {
    INCLUSION: ({0: uint, 1: octets, 2: octets, 4: lambda v: type(v) is list and all(map(opening, v))}, {3: written(digest)}),
    CONSISTENCY: ({0: uint, 1: octets, 2: octets}, {3: written(digest)}),
    FORK: ({0: uint, 1: octets, 2: octets}, {3: written(split), 4: written(regrown)}),
}


def head(data):
    """head returns what a head says."""
    return f"head {Head(data)}"


def proof(data):
    """proof returns what a proof shows."""
    fields = read(data, MAX_PROOF, "P1")
    need(type(fields) is dict and type(fields.get(0)) is int and fields[0] in SHAPES, "P1", "kind")
    need(table(fields, *SHAPES[fields[0]]), "P1", "fields")
    return {INCLUSION: inclusion, CONSISTENCY: consistency, FORK: fork}[fields[0]](fields)


def inclusion(fields):
    hashes, openings = fields.get(3, []), fields[4]
    need(len(hashes) <= MAX_PATH and 0 < len(openings) <= MAX_OPENINGS and all(len(o[3]) <= MAX_PATH for o in openings), "P2", "parts")
    need(all(a[0] < b[0] for a, b in zip(openings, openings[1:])), "P4", "leaves")
    signed_head, s = Head(fields[1]), segment(fields[2])
    need(signed_head.has(s[1], leaf_hash(fields[2]), hashes), "I2", f"segment {s[1]}")
    found = dict.fromkeys(NAMES, 0)
    for index, salt, data, up in openings:
        need(root_of(leaf_hash(salt + data), index, s[5], up) == s[7], "I3", f"leaf {index}")
        found[leaf(data)] += 1
    counts = " ".join(f"{NAMES[kind]}={found[kind]}" for kind in NAMES)
    return f"inclusion {signed_head} segment={s[1]} {counts}"


def two_heads(fields):
    a, b = Head(fields[1]), Head(fields[2])
    need(a.node == b.node, "P3")
    return a, b


def consistency(fields):
    hashes = fields.get(3, [])
    need(len(hashes) <= MAX_PATH + 1, "P2", "path")
    old, new = two_heads(fields)
    need(old.size <= new.size, "P4", "sizes")
    if old.size == new.size:
        need(old.root == new.root and not hashes, "C1")
    else:
        need(goes_on(old.root, old.size, new.root, new.size, hashes), "C2")
    return f"consistency {old} next={new.size}"


def fork(fields):
    splits, begun = fields.get(3, []), fields.get(4, [])
    need(len(splits) + len(begun) <= 1 and all(len(s[2]) <= MAX_PATH and len(s[4]) <= MAX_PATH for s in splits)
         and all(len(r[1]) <= MAX_PATH + 1 for r in begun), "P2", "parts")
    a, b = two_heads(fields)
    need((a.size, a.root) != (b.size, b.root), "F1", "one root")
    need(a.size < b.size or a.size == b.size and a.id < b.id, "P4", "heads")
    need((a.size != b.size) == bool(splits or begun), "P2", "split")
    for root, hashes in begun:
        need(root != a.root and goes_on(root, a.size, b.root, b.size, hashes), "F3")
    for index, x, up, y, over in splits:
        need(index < a.size and x != y and a.has(index, x, up) and b.has(index, y, over), "F2")
    return f"fork {a} next={b.size}"
