# SPDX-License-Identifier: Apache-2.0
"""Proofs (rules P1 to P21 of ../claims.md) and what refusals attach (F1 to F8)."""

import hashlib

from chain import holder, follow, verify_answer_of, verify_chain, verify_end_of
from statement import (CAPACITY, HOLD, LEASE, MAX_UNIX, REDEEM, REJECT, RESOURCES, REVOKE, TICKET, Broken, Statement, canonical,
                       decode, need)

DOMAIN = b"croft/proof/1\n"
MAX_PROOF = 186368
MAX_FILLING = 133120
MAX_QUARANTINE = 30 * 24 * 3600
TWICE, OVER, DOUBLED, REFUSED, UNFILLED, GRACE = range(1, 7)
EXHAUSTED, OVERSUBSCRIBED, OVER_ISSUED, LOCAL = range(1, 5)
QUARANTINE, CLOCK, SLOT, CLOSING, PORT, REQUEST, UNKNOWN, STATE, BOUND = 2, 3, 4, 5, 7, 8, 10, 11, 14

# P2: how many statements there are in chain and evidence.
SHAPES = {TWICE: (1, 16, 2, 2), OVER: (1, 16, 2, 64), DOUBLED: (0, 0, 2, 2), REFUSED: (3, 17, 1, 2), UNFILLED: (3, 17, 2, 66), GRACE: (0, 0, 2, 2)}


class Proof:
    """A proof that holds: who is accountable, and in which term the promises collide."""

    def __init__(self, data):
        self.data = data
        self._parse()
        self.accountable = self.term = self.parent = None
        {TWICE: self._children, OVER: self._children, DOUBLED: self._capacities,
         REFUSED: self._refused, UNFILLED: self._unfilled, GRACE: self._grace}[self.kind]()

    @property
    def id(self):
        return hashlib.sha256(DOMAIN + self.data).digest()

    def _parse(self):
        need(len(self.data) <= MAX_PROOF, "P1", "size")
        parts = decode(self.data, "P1")
        need(type(parts) is list and len(parts) == 5, "P1", "not an array of five")
        self.kind, self.chain, self.evidence, self.resource, self.at = parts
        for value in (self.kind, self.resource, self.at):
            need(type(value) is int and value >= 0, "P1", "not a number")
        for part in (self.chain, self.evidence):
            need(type(part) is list and all(type(s) is bytes for s in part), "P1", "not byte strings")
        need(canonical_or_not(self.data, parts), "P1", "not in core deterministic form")
        need(self.kind in SHAPES and self.resource < RESOURCES and self.at <= MAX_UNIX, "P1", "out of range")
        low, high, least, most = SHAPES[self.kind]
        need(low <= len(self.chain) <= high and least <= len(self.evidence) <= most, "P2", "parts")
        need(self.kind == OVER or (self.resource, self.at) == (0, 0), "P2", "names an amount or instant")

    def _path(self):
        """P3, for the node that the capacity names."""
        return verify_chain(self.chain, Statement(self.chain[0])[1])

    def _children(self):
        path = self._path()
        parent = path[-1]
        need(parent.kind in (CAPACITY, TICKET), "P3", "ends in a redeem")
        children = [Statement(s) for s in self.evidence]  # P4
        for child in children:
            need(child.kind in (TICKET, REDEEM), "P5", "is no child")
            need(child[9] == parent.id, "P5", "of another parent")
            follow(path, child, parent.node)
        common = meet(children)
        if self.kind == TWICE:
            ascending(children)
            need(children[0][10] == children[1][10] and TICKET in (children[0].kind, children[1].kind), "P10")
            need(common[0] < common[1], "P8")
        else:
            slots = [child[10] for child in children]
            need(slots == sorted(slots), "P7")
            distinct(children)
            need(len(slots) == len(set(slots)), "P11")
            need(common[0] < common[1], "P8")
            need(self.at == common[0], "P9")
            self._overweight(parent, children)
        for child in children:
            child.verify()
        self.accountable, self.term, self.parent = holder(parent), common, parent

    def _overweight(self, parent, children):
        limit = parent.amount(self.resource) * parent[6]
        weights = [child.amount(self.resource) * (child[6] if child.kind == TICKET else 100) for child in children]
        need(sum(weights) > limit, "P12")
        need(sum(weights) - min(weights) <= limit, "P13")

    def _capacities(self):
        both = [Statement(s) for s in self.evidence]
        need(all(s.kind == CAPACITY for s in both), "P5", "no capacity")
        ascending(both)
        need(both[0][1] == both[1][1] and both[0][2] == both[1][2], "P14")
        common = meet(both)
        need(common[0] < common[1], "P8")
        for s in both:
            s.verify()
        self.accountable, self.term, self.parent = both[0][1], common, both

    def _reject(self):
        path = self._path()
        need(path[-1].kind == REDEEM, "P3", "ends in no redeem")
        reject = Statement(self.evidence[0])
        need(reject.kind == REJECT, "P5", "no reject")
        verify_answer_of(path[-1], reject)  # P15
        self.accountable = reject.node
        return path, reject.verify()

    def _refused(self):
        path, reject = self._reject()
        redeem, reason = path[-1], reject[27]
        need(reject[26] == LOCAL and path[0][6] == 100, "P16")
        exempt = reason in (CLOCK, SLOT, REQUEST, BOUND)
        exempt |= reason == PORT and any(number for _, number, _ in redeem[14] or [])
        exempt |= reason in (STATE, UNKNOWN, CLOSING) and redeem[13] is not None
        need(not exempt, "P17")
        if reason != QUARANTINE or reject[29] is None:
            need(len(self.evidence) == 1, "P2", "an attachment that nothing names")
            return
        need(len(self.evidence) == 2, "P18", "the attachment is missing")
        need(hashlib.sha256(self.evidence[1]).digest() == reject[29], "P18")
        need(not quarantined(self.evidence[1], redeem.issuer, reject[24]), "P19")

    def _unfilled(self):
        path, reject = self._reject()
        attached, ends = self.evidence[1], [Statement(s) for s in self.evidence[2:]]
        need(reject[26] != LOCAL, "P16")
        need(hashlib.sha256(attached).digest() == reject[29] if attached else reject[29] is None, "P18")
        try:
            filling = attachment(path, reject, attached)
        except Broken as broken:
            need(not ends, "P20", f"does not hold anyway: {broken}")
            return
        need(ends, "P19", "is borne out")
        need(filling is not None, "P20", "revokes of an over-issue")
        filling.refuted(ends)

    def _grace(self):
        lease, revoke = (Statement(s) for s in self.evidence)
        need(lease.kind == LEASE and revoke.kind == REVOKE, "P5", "no lease and revoke")
        verify_end_of(lease, revoke)
        need(revoke[24] - revoke[38] < (lease[19] or 0) and revoke[24] < lease[5], "P21")
        lease.verify()
        revoke.verify()
        self.accountable = lease.node


def canonical_or_not(data, value):
    try:
        canonical(data, value)
    except Broken:
        return False
    return True


def distinct(statements):
    need(len({s.id for s in statements}) == len(statements), "P6")


def ascending(statements):
    """P7 for ids, and P6."""
    ids = [s.id for s in statements]
    need(ids == sorted(ids), "P7")
    distinct(statements)


def meet(statements):
    return max(s[4] for s in statements), min(s[5] for s in statements)


def conflict(data):
    """conflict returns the proof of kind 1, 2 or 3 that data is, which must hold."""
    proof = Proof(data)
    need(proof.kind in (TWICE, OVER, DOUBLED), "F8", "no conflict")
    return proof


def quarantined(data, principal, at):
    try:
        proof = conflict(data)
    except Broken:
        return False
    return proof.accountable == principal and at < proof.term[1] + MAX_QUARANTINE


def attachment(path, reject, data):
    """attachment holds F1 to F8: data bears out the refusal of the redeem at the end of path."""
    if reject[26] == OVER_ISSUED:
        proof, redeem = conflict(data), path[-1]
        if proof.kind == DOUBLED:
            need(path[0].id in [c.id for c in proof.parent], "F8", "off the path")
        else:
            need(proof.parent.id in [claim.id for claim in path[:-1]], "F8", "off the path")
        need(proof.term[0] < redeem[5] and redeem[4] < proof.term[1], "F8", "another time")
        return None
    need(reject[26] in (EXHAUSTED, OVERSUBSCRIBED), "F2", "a refusal that nothing fills")
    return Filling(path, reject, data)


class Filling:
    """What draws on a claim: F1 to F7."""

    def __init__(self, path, reject, data):
        self.reject, self.redeem = reject, path[-1]
        entries = self._parse(data)
        self._claim(path)
        self.resource, self.instant = (reject[31] or 0) - 1, reject[32]
        need(self.resource >= 0 and self.instant is not None and self.redeem.amount(self.resource) > 0
             and self.redeem.covers(self.instant), "F3")
        self.draws = [self._draw(entry) for entry in entries]
        slots = [(redeem[9], redeem[10]) for redeem, _ in self.draws] + [(self.redeem[9], self.redeem[10])]
        need(len(slots) == len(set(slots)), "F5")
        need(self.fills(self.draws), "F7")
        for redeem, bound in self.draws:
            redeem.verify()
            bound.verify()

    @staticmethod
    def _parse(data):
        need(len(data) <= MAX_FILLING, "F1", "size")
        entries = decode(data, "F1")
        need(type(entries) is list and len(entries) <= 256, "F1", "not entries")
        for entry in entries:
            need(type(entry) is list and 2 <= len(entry) <= 17 and all(type(s) is bytes for s in entry), "F1", "not an entry")
        need(canonical_or_not(data, entries), "F1", "not in core deterministic form")
        return entries

    def _claim(self, path):
        """F2; self.above is the path down to X, X included."""
        ids = [claim.id for claim in path[:-1]]
        need(self.reject[30] in ids, "F2", "off the path")
        at = ids.index(self.reject[30])
        self.above, self.full = path[:at + 1], path[at]
        if self.reject[26] == EXHAUSTED:
            need(at == len(ids) - 1, "F2", "not the leaf")
        else:
            need(at < len(ids) - 1 and self.full[6] > 100, "F2", "a claim that is not oversubscribed")

    def _draw(self, entry):
        """F4 and F6."""
        path = list(self.above)
        for data in entry[:-1]:
            link = Statement(data)
            follow(path, link, self.full.node)
            path.append(link)
        redeem, bound = path[-1], Statement(entry[-1])
        need(redeem.kind == REDEEM and bound.kind in (HOLD, LEASE), "F4", "not a redeem and what it got")
        verify_answer_of(redeem, bound)
        for link in path[len(self.above):]:
            link.verify()
        need(redeem.covers(self.instant), "F6", "another time")
        need(bound.kind == LEASE or bound[16] > self.reject[24], "F6", "a hold that had fallen")
        return redeem, bound

    def fills(self, draws):
        drawn = sum(redeem.amount(self.resource) for redeem, _ in draws)
        return drawn + self.redeem.amount(self.resource) > self.full.amount(self.resource)

    def refuted(self, ends):
        """P20, with P6, P7 and P13 for the revokes."""
        need(all(end.kind == REVOKE for end in ends), "P5", "no revoke")
        ascending(ends)
        for end in ends:
            ended = [bound for _, bound in self.draws if bound.id == end[9]]
            need(ended, "P20", "ends nothing that is attached")
            verify_end_of(ended[0], end)
            need(end[24] < self.reject[24] and end[38] < self.reject[24] and end[24] <= self.instant, "P20", "too late")
            end.verify()

        def left(without):
            gone = {end[9] for end in without}
            return self.fills([draw for draw in self.draws if draw[1].id not in gone])

        need(not left(ends), "P20", "is borne out by the rest")
        for end in ends:
            need(left([other for other in ends if other is not end]), "P13")
