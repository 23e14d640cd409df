#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check.py [DIRECTORY]: judges every vector of lease/testdata/vectors with the
verifier beside this file, and fails if any verdict is not the vector's."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True

from chain import verify_answer, verify_chain, verify_end  # noqa: E402
from statement import Broken, from_text, open_statement, text_form  # noqa: E402

# The rules that say of a statement within a chain, an answer or an end that it
# keeps those for one statement.
ONE = {"C9", "A9", "E4"}

HERE = pathlib.Path(__file__).resolve().parent

# The words of verdicts, each with the rules that it can stand for: the table
# "Verdicts" of ../claims.md.
WORDS = {
    "syntax": "S1 S2 S3 S6 S7 S8",
    "not-canonical": "S2 S3 S7",
    "kind": "S3 A1 E1",
    "too-big": "S4",
    "field": "S5 S6 S7 S8 S9 S10",
    "unknown-resource": "S7",
    "signature": "S11",
    "depth": "C1",
    "chain": "C1 C2 C3",
    "wrong-node": "C4 A2 E2",
    "not-holder": "C5 A3 E3",
    "exceeds": "C6 C7 C8",
    "answer": "A1 A4 A5 A6 A7 A8 E1",
}


def judge(vector):
    """judge returns the statement that verifies, or raises Broken."""
    data = {key: bytes.fromhex(vector.get(key, "")) for key in ("open", "wish", "answer", "claim", "end")}
    if "chain" in vector:
        return verify_chain([bytes.fromhex(s) for s in vector["chain"]], from_text(vector["node"]))[-1]
    if "wish" in vector:
        return verify_answer(open_statement(data["wish"]), data["answer"])
    if "claim" in vector:
        return verify_end(open_statement(data["claim"]), data["end"])
    return open_statement(data["open"])


def verdict(vector):
    """verdict returns what was found, and whether that is what the vector wants."""
    try:
        found = judge(vector)
    except Broken as broken:
        words = WORDS.get(vector["expect"], "").split()
        rules = vector.get("rule", "").split() or words
        if broken.rule.startswith("S") and ONE & set(rules):
            rules = [broken.rule]
        return str(broken), broken.rule in words and broken.rule in rules
    name = text_form(found.id)
    return f"ok {name}", vector["expect"] == "ok" and vector["id"] == name


def main(directory):
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
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[2] / "lease" / "testdata" / "vectors")
