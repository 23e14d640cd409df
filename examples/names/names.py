#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names of one's own: serves names/1 to the node on which it runs.

A team's book of names, groups and grants, kept where all of the team's nodes run it.
Nothing but Python 3 and the pages docs/roles/README.md and names.md:

    croft run --where 'node=…' --name names ROOTFS -- /usr/bin/python3 /names.py '{"people": {…}}'
    croft role try names names

The book, or a file with it, is {"people": {NAME: PRINCIPAL}, "groups": {NAME: [NAME or PRINCIPAL, …]}, "grants": [what
`croft slice grant --out` writes, …]}. CROFT_SOCKET is the node's socket (default /run/croft/node.sock).
"""
import base64
import json
import os
import socket
import sys
import time

SOCKET = os.environ.get("CROFT_SOCKET", "/run/croft/node.sock")
CREDENTIALS, TEXT = 16, 45_000  # in an answer: how many, and characters of base64


def cbor(b, at=0):
    """One value of deterministic CBOR and where it ends: what grants are made of."""
    kind, low = b[at] >> 5, b[at] & 31
    at += 1
    if low >= 24:
        size = 1 << (low - 24)
        low, at = int.from_bytes(b[at:at + size], "big"), at + size
    if kind in (0, 1):
        return (low if kind == 0 else -1 - low), at
    if kind in (2, 3):
        raw = bytes(b[at:at + low])
        return (raw if kind == 2 else raw.decode()), at + low
    if kind not in (4, 5):
        raise ValueError("CBOR of another kind than grants have")
    items = []
    for _ in range(low * (kind - 3)):
        item, at = cbor(b, at)
        items.append(item)
    return (items if kind == 4 else dict(zip(items[::2], items[1::2]))), at


def packed(b):
    """A byte string in CBOR."""
    n = len(b)
    head = bytes([0x40 | n]) if n < 24 else bytes([0x58, n]) if n < 256 else b"\x59" + n.to_bytes(2, "big")
    return head + b


def principal(raw):
    return base64.b32encode(raw).decode().lower().rstrip("=")


class Book:
    def __init__(self, text):
        self.people = text.get("people", {})
        self.groups = {}
        for name, members in text.get("groups", {}).items():
            self.groups[name] = sorted({self.people.get(m, m) for m in members})
        self.called = {}
        for name in sorted(self.people):
            self.called.setdefault(self.people[name], name)
        self.grants = []  # (owner, holder, slice, base64)
        for g in text.get("grants", []):
            grant, record = base64.b64decode(g["grant"]), base64.b64decode(g["record"])
            said = cbor(cbor(grant)[0][0])[0]
            both = base64.b64encode(b"\x82" + packed(grant) + packed(record)).decode()
            self.grants.append((principal(said[1]), principal(said[8]), said.get(11, ""), both))

    def lookup(self, ask):
        name = ask["name"]
        if name in self.groups:
            return {"group": True, "principals": self.groups[name]}
        return {"principals": [self.people[name]]} if name in self.people else {}

    def reverse(self, ask):
        return {"names": [{"principal": p, "name": self.called[p]} for p in ask["principals"] if p in self.called]}

    def credentials(self, ask):
        found, size = [], 0
        for owner, holder, label, text in self.grants:
            fits = (holder == ask["holder"] and ask.get("owner", owner) == owner
                    and (ask.get("slice", label) == label or label == "" and "owner" in ask))
            size += len(text) if fits else 0
            if fits and size <= TEXT and len(found) < CREDENTIALS:
                found.append(text)
        return {"credentials": found}


def serve(book):
    """Serves one connection to its end."""
    calls = {"lookup": book.lookup, "reverse": book.reverse, "credentials": book.credentials}
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        conn.connect(SOCKET)
        with conn.makefile("rwb") as f:
            def say(message):
                f.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
                f.flush()

            say({"serve": "names/1"})
            greeting = json.loads(f.readline() or b'{"error":{"code":"gone","text":"hung up"}}')
            if "error" in greeting:
                raise OSError(f"refused: {greeting['error']['code']}: {greeting['error']['text']}")
            print("serving", greeting["ok"]["role"], "as", greeting["ok"]["slice"], flush=True)
            for line in f:
                q = json.loads(line)
                if q.get("cancel"):
                    continue  # answers are sent at once: there is nothing to stop
                if q["call"] in calls:
                    say({"id": q["id"], "done": calls[q["call"]](q["ask"])})
                else:
                    say({"id": q["id"], "error": {"code": "call", "text": "unknown"}})
    finally:
        conn.close()


def main():
    text = sys.argv[1]
    if not text.startswith("{"):
        with open(text) as f:
            text = f.read()
    book = Book(json.loads(text))
    pause = 0.2
    while True:
        began = time.monotonic()
        try:
            serve(book)
            print("the node hung up", file=sys.stderr, flush=True)
        except (OSError, ValueError, KeyError) as e:
            print("not serving:", e, file=sys.stderr, flush=True)
        pause = 0.2 if time.monotonic() - began > 10 else min(2 * pause, 10)
        time.sleep(pause)


if __name__ == "__main__":
    main()
