# SPDX-License-Identifier: Apache-2.0
"""Suspicions (V) of ../alive.md."""

from audit import integer
from optout import fixed, sized
from statement import MAX_UNIX, Broken, frame, need, signed, text_form, usable

DOMAIN = b"croft/suspicion/1\n"
MAX_SUSPICION = 192
KEYS = {1: sized(32), 2: sized(32), 3: lambda v: type(v) is int and 0 <= v < 1 << 64, 4: integer}


def suspicion(data):
    need(len(data) <= MAX_SUSPICION, "V1", f"{len(data)} bytes")
    try:
        payload, signature = frame(data)
    except Broken as broken:
        raise Broken("V1", str(broken)) from broken
    fields = fixed(payload, MAX_SUSPICION, "V1")
    need(type(fields) is dict and fields.keys() == KEYS.keys() and all(KEYS[k](v) for k, v in fields.items()), "V1", "fields")
    by, node, sequence, made = (fields[k] for k in sorted(KEYS))
    need(usable(by) and usable(node) and by != node, "V2", "principals")
    need(sequence >= 1 and 1 <= made <= MAX_UNIX, "V3", f"sequence {sequence}, made {made}")
    need(signed(by, DOMAIN + payload, signature), "V4")
    return f"suspicion by={text_form(by)} node={text_form(node)} sequence={sequence} made={made}"
