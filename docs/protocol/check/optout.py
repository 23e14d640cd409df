# SPDX-License-Identifier: Apache-2.0
"""Opt-outs: attestations, entries, presences (O) and the ranking of networks of ../optout.md."""

import hashlib
import ipaddress

import cbor2

from audit import integer, table
from statement import Broken, decode, frame, need, plain, signed, text_form, usable

DOMAIN = b"croft/optout/1\n"
PRESENCE = b"croft/presence/1\n"
ENTRY = b"croft/optout-entry/1\n"
RANK = b"croft/optout-rank/1\n"
MAX_ATTESTATION, MAX_PRESENCE, MAX_ENTRY = 192, 256, 590
MAX_TERM, MAX_SPREAD = 604800, 3600
DAY = 86400


def octets(value):
    return type(value) is bytes


def sized(size):
    return lambda value: octets(value) and len(value) == size


def fixed(data, limit, rule):
    """fixed reads one item of at most limit bytes in core deterministic form."""
    need(len(data) <= limit, rule, f"{len(data)} bytes")
    value = decode(data, rule)
    need(plain(value) and cbor2.dumps(value, canonical=True) == data, rule, "not in core deterministic form")
    return value


def opened(data, limit, keys):
    """opened holds O1 for a signed map with these keys, and returns it and the check of O4."""
    need(len(data) <= limit, "O1", f"{len(data)} bytes")
    try:
        payload, signature = frame(data)
    except Broken as broken:
        raise Broken("O1", str(broken)) from broken
    fields = fixed(payload, limit, "O1")
    need(table(fields, keys), "O1", "fields")
    need(usable(fields[1]), "O2", "node")
    return fields, lambda domain: need(signed(fields[1], domain + payload, signature), "O4")


def address(packed):
    """address holds what O3 says of one."""
    need(len(packed) in (4, 16), "O3", f"address of {len(packed)} bytes")
    a = ipaddress.ip_address(packed)
    ok = not (a.is_multicast or a.is_loopback or a.is_link_local or a.is_unspecified or a == ipaddress.ip_address("255.255.255.255"))
    need(ok and (a.version == 4 or a.ipv4_mapped is None), "O3", f"address {a}")
    return a


class Attestation:
    """An attestation that keeps O1 to O4."""

    def __init__(self, data):
        keys = {1: sized(32), 2: octets, 3: integer, 4: integer, 5: sized(16)}
        fields, verify = opened(data, MAX_ATTESTATION, keys)
        self.node, self.first, self.until = fields[1], fields[3], fields[4]
        self.address = address(fields[2])
        need(self.first > 0 and 0 < self.until - self.first <= MAX_TERM, "O3", "term")
        verify(DOMAIN)


def attestation(data):
    a = Attestation(data)
    return f"attestation node={text_form(a.node)} addr={a.address} from={a.first} until={a.until}"


def entry(data):
    fields = fixed(data, MAX_ENTRY, "O5")
    need(table(fields, {1: lambda v: type(v) is list and all(type(x) is bytes for x in v)}), "O5", "fields")
    need(len(fields[1]) == 3, "O6", f"{len(fields[1])} attestations")
    by = [Attestation(x) for x in fields[1]]
    need(by[0].node < by[1].node < by[2].node, "O7", "nodes")
    need(len({a.address for a in by}) == 1, "O7", "addresses")
    first, until = max(a.first for a in by), min(a.until for a in by)
    need(first - min(a.first for a in by) <= MAX_SPREAD, "O7", "far apart")
    need(until > first, "O7", "none holds")
    return f"entry id={hashlib.sha256(ENTRY + data).hexdigest()} addr={by[0].address} from={first} until={until}"


def presence(data):
    """presence takes the nonce and address that were asked for, and the answer."""
    nonce, size = data[:16], data[16]
    asked, data = data[17:17 + size], data[17 + size:]
    fields, verify = opened(data, MAX_PRESENCE, {1: sized(32), 2: octets, 3: sized(16)})
    need(fields[2] == asked and fields[3] == nonce, "O3", "another was asked for")
    verify(PRESENCE)
    return f"presence node={text_form(fields[1])} addr={ipaddress.ip_address(asked)}"


def wide(packed):
    """wide is an address as 16 bytes, IPv4 in its IPv6 form."""
    return packed if len(packed) == 16 else b"\0" * 10 + b"\xff\xff" + packed


def ranked(data):
    """ranked takes an instant of eight bytes, the size of an address, the address, and those of nodes; it names the eight networks that may attest."""
    day, size, rest = int.from_bytes(data[:8], "big") // DAY, data[8], data[9:]
    packed = [rest[i:i + size] for i in range(0, len(rest), size)]
    whole = 24 if size == 4 else 56
    networks = {ipaddress.ip_network((p, whole), strict=False) for p in packed[1:]}

    def score(network):
        return hashlib.sha256(RANK + day.to_bytes(8, "big") + wide(packed[0]) + wide(network.network_address.packed)).digest()[:8]

    return "rank " + " ".join(map(str, sorted(networks, key=score)[:8]))
