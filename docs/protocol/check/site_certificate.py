# SPDX-License-Identifier: Apache-2.0
"""Site certificates, of ../claims.md."""

import hashlib

from statement import canonical, decode, frame, label, MAX_TERM, MAX_UNIX, need, signed, usable

DOMAIN = b"croft/site/1\n"
MAX_SITE = 256
TYPES = {1: bytes, 2: bytes, 4: int, 5: int, 11: str}


class Site:
    """A certificate that keeps its rules."""

    def __init__(self, data):
        need(len(data) <= MAX_SITE, "S4", f"{len(data)} bytes")
        self.payload, signature = frame(data)
        fields = decode(self.payload, "S2")
        canonical(self.payload, fields)
        need(type(fields) is dict and fields.keys() == TYPES.keys(), "S3", "fields")
        need(all(type(fields[key]) is kind for key, kind in TYPES.items()), "S3", "types")
        need(len(fields[1]) == len(fields[2]) == 32, "S3", "length of a key")
        need(usable(fields[1]) and usable(fields[2]), "S5")
        since, until = fields[4], fields[5]
        need(1 <= since < until <= MAX_UNIX and until - since <= MAX_TERM, "S6")
        need(label(fields[11]), "S9")
        need(signed(fields[1], DOMAIN + self.payload, signature), "S11")

    @property
    def id(self):
        return hashlib.sha256(DOMAIN + self.payload).digest()
