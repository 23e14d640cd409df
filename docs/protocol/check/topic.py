# SPDX-License-Identifier: Apache-2.0
"""Messages (M1, M2) and attendances (A1) of ../topics.md."""

import hashlib

import cbor2

from audit import integer
from statement import Broken, decode, frame, label, need, plain, signed, text_form

MESSAGE = b"croft/message/1\n"
MEETING = b"croft/meeting/1\n"
PLACE = b"croft/place/1\n"
MAX_DATA, MAX_AUTHORITY, MAX_MESSAGE, MAX_ATTENDANCE = 16384, 9232, 26128, 768
MAX_TERM, AHEAD = 600, 180
LAST = 2**53 - 1


def octets(value):
    return type(value) is bytes


def principal(value):
    return octets(value) and len(value) == 32


def text(value):
    return type(value) is str


def opened(data, limit, must, may, rule):
    """opened reads a signed map with these keys, and returns it and its payload."""
    need(len(data) <= limit, rule, f"{len(data)} bytes")
    try:
        payload, signature = frame(data)
    except Broken as broken:
        raise Broken(rule, str(broken)) from broken
    fields = decode(payload, rule)
    need(plain(fields) and cbor2.dumps(fields, canonical=True) == payload, rule, "not in core deterministic form")
    need(type(fields) is dict and must.keys() <= fields.keys() <= (must | may).keys(), rule, "fields")
    need(all((must | may)[key](value) for key, value in fields.items()), rule, "types")
    need(all(fields[key] for key in may.keys() & fields.keys()), rule, "a default is written")
    return fields, payload, signature


def message(data, _):
    fields, payload, signature = opened(data, MAX_MESSAGE, {1: principal, 2: principal, 3: text, 4: text, 5: integer}, {6: octets, 7: octets}, "M1")
    need(any(fields[1]) and any(fields[2]), "M1", "nobody")
    need(label(fields[3]) and label(fields[4]), "M1", "labels")
    need(0 < fields[5] <= LAST, "M1", "made")
    need(len(fields.get(6, b"")) <= MAX_DATA and len(fields.get(7, b"")) <= MAX_AUTHORITY, "M1", "too much")
    need(signed(fields[1], MESSAGE + payload, signature), "M2")
    name = f"slice/{text_form(fields[2])}/{fields[3]}/{fields[4]}"
    ident = hashlib.sha256(MESSAGE + payload).hexdigest()
    return f"message id={ident} on={name} place={hashlib.sha256(PLACE + name.encode()).hexdigest()}"


def attendance(data, at):
    def addresses(value):
        return type(value) is list and all(octets(a) for a in value)

    fields, payload, signature = opened(data, MAX_ATTENDANCE, {1: principal, 2: principal, 3: integer, 4: integer}, {5: addresses}, "A1")
    addrs = fields.get(5, [])
    need(any(fields[1]) and fields[3] > 0 and 0 <= fields[4] - fields[3] <= MAX_TERM, "A1", "term")
    need(len(addrs) <= 4 and all(1 <= len(a) <= 128 for a in addrs), "A1", "addresses")
    need(signed(fields[1], MEETING + payload, signature), "A1", "signature")
    need(fields[3] <= at + AHEAD and fields[4] >= at, "A1", "not now")
    return f"attendance node={text_form(fields[1])} place={fields[2].hex()} addrs={len(addrs)}"
