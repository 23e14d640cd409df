#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check.py [DIRECTORY …]: judges every vector of the directories, or else of
lease, gossip/alive, gossip/topic, ebpf/audit and ebpf/optout (testdata/vectors),
with the verifier beside this file, and fails if any verdict is not the vector's."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True

import alive  # noqa: E402
import audit  # noqa: E402
import optout  # noqa: E402
import topic  # noqa: E402
from chain import verify_answer, verify_chain, verify_end  # noqa: E402
from proof import Proof, attachment  # noqa: E402
from site_certificate import Site  # noqa: E402
from slice_record import Authority, Record, verify_granted_end  # noqa: E402
from statement import Broken, from_text, open_statement, text_form  # noqa: E402

# The rules that say of a statement within a chain, an answer or an end that it
# keeps those for one statement.
ONE = {"C9", "A9", "E4"}

HERE = pathlib.Path(__file__).resolve().parent

# The words of verdicts, each with the rules that it can stand for: the tables
# "Verdicts", and the last columns, of ../claims.md and ../slices.md.
WORDS = {
    "syntax": "S1 S2 S3 S6 S7 S8 P1 F1 G1",
    "not-canonical": "S2 S3 S7 P1 F1",
    "kind": "S3 A1 E1 P1 P5 F2 F4 G1",
    "too-big": "S4 P1 P2 F1 G1",
    "field": "S5 S6 S7 S8 S9 S10 S12 S13 S14 P1 R1",
    "unknown-resource": "S7 P1",
    "signature": "S11",
    "depth": "C1",
    "chain": "C1 C2 C3 P3",
    "wrong-node": "C4 A2 E2",
    "not-holder": "C5 A3 E3 E5 G4",
    "exceeds": "C6 C7 C8 C10",
    "answer": "A1 A4 A5 A6 A7 A8 E1 R2",
    "proof-shape": "P2",
    "proof-parent": "P5",
    "proof-duplicate": "P6",
    "proof-order": "P7",
    "proof-disjoint": "P8",
    "proof-instant": "P9",
    "proof-slot": "P10 P11",
    "proof-below": "P12",
    "proof-redundant": "P13",
    "proof-tranche": "P14",
    "proof-exempt": "P16 P17",
    "proof-attachment": "P18",
    "proof-borne-out": "P19 P20",
    "proof-refutation": "P20",
    "proof-grace": "P21",
    "filling-claim": "F2",
    "filling-instant": "F3 F6",
    "filling-hold": "F6",
    "filling-twice": "F5",
    "filling-below": "F7",
    "off-path": "F8",
    "grant": "G2 G3 G5 R5",
    "lapsed": "R4 G6 G7 G8",
    "revoked": "G8",
}

# The same for ../audit.md, whose rules have letters of their own.
AUDIT = {
    "syntax": "H1 P1 I1 I4 W1 Q1 G1",
    "not-canonical": "H1 P1 I1 I4 W1 Q1 G1",
    "too-big": "H1 P1 I1 I4 W1 Q1 G1",
    "kind": "P1 I4",
    "field": "H2 I1 I5 W2 Q2 G2",
    "signature": "H3 W3 Q3 G3",
    "proof-shape": "P2",
    "proof-nodes": "P3",
    "proof-order": "P4",
    "proof-segment": "I2",
    "proof-leaf": "I3",
    "proof-grown": "C1 C2",
    "proof-one": "F1 F2 F3",
}

AUDIT_KINDS = {"head": audit.head, "audit": audit.proof, "word": audit.word, "said": audit.answer, "seen": audit.sighting}

# Rules that refer to others: what is named broken may be one of those.
REFERS = {"C9": "S", "A9": "S", "E4": "S", "P3": "CS", "P4": "S", "P5": "C", "P15": "A", "P20": "E", "P21": "E", "F4": "CAS", "F8": "PCS", "R1": "S", "G1": "S",
          "E5": "GES"}


def judge(vector):
    """judge returns what verifies, and whom it accuses; or raises Broken."""
    data = {key: bytes.fromhex(vector.get(key, "")) for key in (
        "open", "wish", "answer", "claim", "end", "proof", "attachment", "record", "known", "authority")}
    if "record" in vector:
        return judge_record(vector, data), None
    if "deed" in vector:
        authority, deed = Authority(data["authority"]), vector["deed"]
        authority.allows(from_text(deed["by"]), from_text(deed["owner"]), deed["slice"], deed["any"], deed["at"], deed["until"])
        return authority, None
    if "authority" in vector:
        return verify_granted_end(open_statement(data["claim"]), data["end"], Authority(data["authority"])), None
    if "site" in vector:
        return Site(bytes.fromhex(vector["site"])), None
    if "proof" in vector:
        proof = Proof(data["proof"])
        return proof, text_form(proof.accountable)
    if "chain" in vector:
        path = verify_chain([bytes.fromhex(s) for s in vector["chain"]], from_text(vector["node"]))
        if "attachment" not in vector:
            return path[-1], None
        reject = verify_answer(path[-1], data["answer"])
        attachment(path, reject, data["attachment"])
        return reject, None
    if "wish" in vector:
        return verify_answer(open_statement(data["wish"]), data["answer"]), None
    if "claim" in vector:
        return verify_end(open_statement(data["claim"]), data["end"]), None
    return open_statement(data["open"]), None


def judge_record(vector, data):
    """judge_record returns the record, or of two the one that counts."""
    record = Record(data["record"])
    if "of" in vector:
        record.is_of(from_text(vector["of"]["owner"]), vector["of"]["slice"])
    if "at" in vector:
        record.holds(vector["at"])
    if "publish" in vector:
        record.may_publish(vector["publish"]["topic"], from_text(vector["publish"]["by"]))
    if "known" in vector:
        return record.counts(Record(data["known"]))
    return record


# And for ../optout.md.
OPTOUT = {
    "malformed": "O1 O3 O5",
    "not-canonical": "O1 O5",
    "too-big": "O1 O5",
    "field": "O2 O3 O6 O7",
    "signature": "O4",
}

OPTOUT_KINDS = {"attestation": optout.attestation, "entry": optout.entry, "presence": optout.presence, "rank": optout.ranked}

# And for ../alive.md.
ALIVE = {"malformed": "V1", "not-canonical": "V1", "too-big": "V1", "field": "V2 V3", "signature": "V4"}

ALIVE_KINDS = {"suspicion": alive.suspicion}


# And for ../topics.md.
TOPIC = {
    "malformed": "M1 A1",
    "not-canonical": "M1 A1",
    "too-big": "M1 A1",
    "field": "M1 A1",
    "signature": "M2 A1",
    "expired": "A1",
    "early": "A1",
}

TOPIC_KINDS = {"message": topic.message, "attendance": topic.attendance}


def verdict_of(vector, kinds, words):
    """verdict_of is verdict for what shows something: of the audit log, of opt-outs, of topics, or of who is there."""
    try:
        read, data = next((kinds[key], vector[key]) for key in kinds if key in vector)
        shown = read(bytes.fromhex(data), vector.get("at")) if kinds is TOPIC_KINDS else read(bytes.fromhex(data))
    except Broken as broken:
        return str(broken), broken.rule in words.get(vector["expect"], "").split() and broken.rule == vector["rule"]
    return f"ok {shown}", vector["expect"] == "ok" and vector["shows"] == shown


def verdict(vector):
    """verdict returns what was found, and whether that is what the vector wants."""
    for kinds, words in ((AUDIT_KINDS, AUDIT), (OPTOUT_KINDS, OPTOUT), (TOPIC_KINDS, TOPIC), (ALIVE_KINDS, ALIVE)):
        if any(key in vector for key in kinds):
            return verdict_of(vector, kinds, words)
    try:
        found, accused = judge(vector)
    except Broken as broken:
        words = WORDS.get(vector["expect"], "").split()
        rules = vector.get("rule", "").split() or words
        refers = any(broken.rule[0] in REFERS.get(rule, "") for rule in rules)
        return str(broken), broken.rule in words and (broken.rule in rules or refers)
    name = text_form(found.id)
    right = vector["expect"] == "ok" and vector["id"] == name and vector.get("accountable") == accused
    return f"ok {name}", right


def main(directories):
    failed = 0
    for directory in directories:
        failed += check(directory)
    sys.exit(1 if failed else 0)


def check(directory):
    """check judges the vectors of one directory and returns how many disagree."""
    failed, files = 0, sorted(directory.glob("*.json"))
    if not files:
        sys.exit(f"check: no vectors in {directory}")
    for file in files:
        vectors = json.loads(file.read_text())
        accepted = sum(vector["expect"] == "ok" for vector in vectors)
        wrong = 0
        for vector in vectors:
            got, right = verdict(vector)
            if not right:
                wrong += 1
                wanted = f"{vector['expect']} {vector.get('rule', vector.get('id', ''))}".strip()
                print(f"{file.name}: {vector['name']}: want {wanted}, got {got}: {vector['note']}", file=sys.stderr)
        print(f"{file.name}: {len(vectors)} vectors, {accepted} accepted, {len(vectors) - accepted} refused, {wrong} disagree")
        failed += wrong
    return failed


if __name__ == "__main__":
    main([pathlib.Path(d) for d in sys.argv[1:]] or [HERE.parents[2] / d / "testdata" / "vectors" for d in ("lease", "gossip/alive", "ebpf/audit", "ebpf/optout", "gossip/topic")])
