# SPDX-License-Identifier: Apache-2.0
"""Slice records, grants and what they allow, of ../slices.md."""

import hashlib

from chain import verify_end_of
from statement import (CLOSE, GRANT, HOLD, LEASE, MAX_TERM, MAX_UNIX, Statement, canonical, decode, frame, label, need, signed, usable)

DOMAIN = b"croft/slice/1\n"
MAX_RECORD = 8192
MAX_AUTHORITY = 9232
MAX_GRANTS = 32
MAX_NODES = 128

MUST = {1: bytes, 4: int, 5: int, 37: int}
MAY = {11: str, 40: list, 41: list, 42: list}
MAX_TOPICS = 16
MAX_PUBLISHERS = 16
BY_SLIVERS, BY_ANYBODY = 1, 2
STOP = 4


def ascending(entries):
    return all(a < b for a, b in zip(entries, entries[1:]))


class Topic:
    """Who may publish on a topic."""

    def __init__(self, fields):
        need(type(fields) is dict and {1} <= fields.keys() <= {1, 2, 3}, "S3", "fields of a topic")
        self.name, self.groups, self.principals = fields[1], fields.get(2, 0), fields.get(3, [])
        need(type(self.name) is str and type(self.groups) is int and type(self.principals) is list, "S3", "types of a topic")
        need(0 <= self.groups < 256 and all(type(x) is bytes and len(x) == 32 for x in self.principals), "S3", "values of a topic")
        need(all(fields[key] for key in fields.keys() - {1}), "S2", "a default is written")

    def check(self):
        need(label(self.name), "S9", self.name)
        need(not self.groups & ~(BY_SLIVERS | BY_ANYBODY), "R1", "groups of publishers")
        need(len(self.principals) <= MAX_PUBLISHERS, "R1", f"{len(self.principals)} principals")
        need(ascending(self.principals), "R1", "principals are not ascending")


class Record:
    """A record that keeps R1. What it says are its attributes."""

    def __init__(self, data):
        need(len(data) <= MAX_RECORD, "S4", f"{len(data)} bytes")
        self.payload, signature = frame(data)
        fields = decode(self.payload, "S2")
        canonical(self.payload, fields)
        need(type(fields) is dict and MUST.keys() <= fields.keys() <= (MUST | MAY).keys(), "S3", "fields")
        need(all(type(fields[key]) is (MUST | MAY)[key] for key in fields), "S3", "types")
        need(all(fields[key] for key in MAY.keys() & fields.keys()), "S2", "a default is written")
        self.owner, self.made, self.until, self.sequence = (fields[key] for key in MUST)
        self.slice, self.grants, self.nodes = fields.get(11, ""), fields.get(40, []), fields.get(41, [])
        self.topics = [Topic(fields) for fields in fields.get(42, [])]
        need(len(self.owner) == 32 and 0 <= self.sequence < 2**64, "S3", "owner or sequence")
        need(all(type(x) is bytes and len(x) == 32 for x in self.grants + self.nodes), "S3", "within a list")
        need(usable(self.owner), "S5", "owner")
        need(1 <= self.made < self.until <= MAX_UNIX and self.until - self.made <= MAX_TERM, "S6")
        need(not self.slice or label(self.slice), "S9", self.slice)
        need(self.sequence > 0, "R1", "sequence 0")
        for entries, most in ((self.grants, MAX_GRANTS), (self.nodes, MAX_NODES)):
            need(len(entries) <= most, "R1", f"{len(entries)} entries")
            need(ascending(entries), "R1", "not ascending")
        for topic in self.topics:
            topic.check()
        need(len(self.topics) <= MAX_TOPICS, "R1", f"{len(self.topics)} topics")
        need(ascending([topic.name.encode() for topic in self.topics]), "R1", "topics are not ascending")
        need(sum(len(topic.principals) for topic in self.topics) <= MAX_PUBLISHERS, "R1", "principals")
        need(signed(self.owner, DOMAIN + self.payload, signature), "S11")

    @property
    def id(self):
        return hashlib.sha256(DOMAIN + self.payload).digest()

    def is_of(self, owner, slice_):
        need(self.owner == owner and self.slice == slice_, "R2")

    def counts(self, known):
        """The one of the two that counts, by R3."""
        known.is_of(self.owner, self.slice)
        return max(self, known, key=lambda record: (record.sequence, record.id))

    def holds(self, at):
        need(at < self.until, "R4")

    def may_publish(self, name, by):
        """R5, by the record alone."""
        topic = next((topic for topic in self.topics if topic.name == name), None)
        need(by == self.owner or topic and (topic.groups & BY_ANYBODY or by in topic.principals
                                            or topic.groups & BY_SLIVERS and by in self.nodes), "R5", name)


class Authority:
    """A grant and the record shown with it, which keep G1 and G2."""

    def __init__(self, data):
        need(len(data) <= MAX_AUTHORITY, "G1", f"{len(data)} bytes")
        pair = decode(data, "G1")
        need(type(pair) is list and len(pair) == 2 and all(type(x) is bytes for x in pair), "G1", "not a pair of byte strings")
        canonical(data, pair)
        self.grant = Statement(pair[0])
        need(self.grant.kind == GRANT, "G1", "no grant")
        self.record = Record(pair[1])
        need(self.record.owner == self.grant.issuer and self.record.slice == (self.grant[11] or ""), "G2")
        self.grant.verify()

    @property
    def id(self):
        return self.grant.id

    def allows(self, by, owner, slice_, verbs, at, until=0):
        """G3 to G8."""
        grant = self.grant
        need(owner == grant.issuer and grant[11] in (None, slice_), "G3")
        need(by == grant[8], "G4")
        need(grant[36] & verbs, "G5")
        need(grant.covers(at), "G6")
        need(until <= grant[5], "G7")
        need(grant.id in self.record.grants, "G8", "not listed")
        need(at < self.record.until, "G8", "the record has lapsed")


def verify_granted_end(claim, data, authority):
    """E5: verify_granted_end returns the close of a lease, by its holder, the owner or whom he lets."""
    end = Statement(data)
    others = claim.kind == LEASE and end.kind == CLOSE and end.issuer not in (claim[8], claim[28])
    if others:
        need(end[9] == claim.id, "E1")
        need(end.node == claim.node, "E2")
        authority.allows(end.issuer, claim[28] or claim[8], claim[11], STOP, end[24])
    else:
        need(claim.kind != HOLD or end.issuer == claim[8], "E5", "a hold")
        verify_end_of(claim, end)
    return end.verify()
