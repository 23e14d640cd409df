#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A discovery of one's own: serves discovery/1 to the node on which it runs.

It collects the offers that its node hears of and answers queries from memory.
Nothing but Python 3 and the pages docs/roles/README.md and discovery.md:

    croft run --where 'node=…' --name finder ROOTFS -- /usr/bin/python3 /finder.py
    croft role try discovery finder

CROFT_SOCKET is the node's socket (default /run/croft/node.sock).
"""
import http.client
import json
import os
import socket
import sys
import threading
import time

SOCKET = os.environ.get("CROFT_SOCKET", "/run/croft/node.sock")
COLLECT = 2.0          # seconds between two looks at what the node heard
OVERLAP = 30           # seconds by which looks overlap, should the clock be set back
LINE = 60_000          # bytes of a line, below the protocol's bound
ANSWER = 900_000       # bytes of an answer, below the protocol's bound


def dial():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(SOCKET)
    return s


class NodeHTTP(http.client.HTTPConnection):
    """HTTP over the node's socket."""

    def connect(self):
        self.sock = dial()
        self.sock.settimeout(30)


class Offers:
    """The newest offer of each node."""

    def __init__(self):
        self.lock = threading.Lock()
        self.known = {}  # node -> (offer, signed)
        self.since = 0
        self.trouble = "nothing was heard yet"

    def collect(self):
        began = int(time.time())
        conn = NodeHTTP("node")
        try:
            conn.request("GET", f"/v1/offers?since={self.since}")
            resp = conn.getresponse()
            if resp.status != 200:
                raise OSError(f"{resp.status} {resp.read(500).decode(errors='replace')}")
            for line in resp:
                found = json.loads(line)
                self.put(found["offer"], found["signed"])
        finally:
            conn.close()
        self.since = max(0, began - OVERLAP)
        self.trouble = ""

    def put(self, offer, signed):
        with self.lock:
            old = self.known.get(offer["node"])
            if old is None or old[0]["sequence"] < offer["sequence"]:
                self.known[offer["node"]] = (offer, signed)

    def fresh(self):
        """All that hold now; what has lapsed is forgotten."""
        now = time.time()
        with self.lock:
            self.known = {n: k for n, k in self.known.items() if k[0]["valid_until"] > now}
            return [k for k in self.known.values() if not k[0].get("closed")]

    def run(self):
        told = 0
        while True:
            try:
                self.collect()
            except (OSError, ValueError, KeyError, http.client.HTTPException) as e:
                self.trouble = f"asking the node: {e}"
            if told != len(self.known):
                told = len(self.known)
                print("heard of", told, "nodes", flush=True)
            time.sleep(COLLECT)


def free(offer, pool, resource):
    for f in offer.get("free") or []:
        if f["pool"] == pool:
            return f["rset"].get(resource, 0)
    return 0 if pool == "commons" else None


def version(text):
    """The first three numbers of a version, twenty bits each; None without any, or where
    one is too large or a dot has none after it."""
    value = 0
    for i in range(3):
        digits = ""
        while text and text[0] in "0123456789":
            digits, text = digits + text[0], text[1:]
        if not digits or len(digits) > 100 or int(digits) >= 1 << 20:
            return None
        value |= int(digits) << (20 * (2 - i))
        if not text.startswith("."):
            return value
        text = text[1:]
    return value


def number(offer, attr):
    """What an offer states of a numeric attribute, None if nothing."""
    at = offer.get("attributes") or {}
    if attr == "as":
        return at.get("as") or None
    if attr == "uptime":
        return offer.get("uptime", 0) * 10**9 or None
    if attr == "kernel":
        return version(at.get("kernel", ""))
    name = attr.removeprefix("free.")
    pool, dot, rest = name.partition(".")
    if attr.startswith("free.") and dot and pool in {f["pool"] for f in offer.get("free") or []}:
        return free(offer, pool, rest)
    if free(offer, "commons", name) or name in RESOURCES:
        return free(offer, "commons", name)
    return None


RESOURCES = {"cpu", "memory", "disk", "pids", "io", "egress.rate", "ingress.rate", "egress.packets", "ingress.packets",
             "egress.daily", "flows.new", "flows.live", "ports.in", "ports.out"}


def texts(offer, attr):
    """What an offer states of a textual attribute."""
    at = offer.get("attributes") or {}
    if attr.startswith("label."):
        return [(at.get("labels") or {}).get(attr[6:], "")]
    if attr == "runtime":
        return at.get("runtimes") or []
    if attr == "name":
        return [offer.get("name", "")]
    if attr == "node":
        return [offer["node"], offer["node"][:8]]
    if attr == "pool":
        return [f["pool"] for f in offer.get("free") or []]
    if attr == "site":
        site, name = offer.get("site", ""), offer.get("name", "")
        return [site, site[:8], name.split("/")[0] if "/" in name else ""]
    return [at.get(attr, "")]


def fold(text):
    """Text with each letter folded by itself, as the node compares it."""
    out = ""
    for c in text:
        folded = c.casefold()
        if len(folded) != 1:
            folded = c.lower()
        out += folded if len(folded) == 1 else c
    return out


COMPARE = {"=": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
           "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}


def holds(c, offer):
    """Whether an offer satisfies a constraint. What it does not state satisfies != only."""
    if c["attr"] == "rtt":
        return True  # the node measures it
    if "number" in c:
        have = number(offer, c["attr"])
        return c["op"] == "!=" if have is None else COMPARE[c["op"]](have, c["number"])
    same = any(t and fold(t) == fold(c["value"]) for t in texts(offer, c["attr"]))
    return same == (c["op"] == "=")


def find(offers, ask):
    """Yields parts, and then the end of the answer."""
    constraints = ask.get("constraints") or []
    known = offers.fresh()
    removed = [{"constraint": c["text"], "count": 0, "alone": 0} for c in constraints]
    unordered = not ask.get("order") and not ask.get("spread") and not any(c["attr"] == "rtt" for c in constraints)
    limit = ask.get("limit") or len(known)
    matched, sent, part, size, total, missed = 0, 0, [], 0, 0, offers.trouble
    for offer, signed in known:
        failed = [i for i, c in enumerate(constraints) if not holds(c, offer)]
        for i in failed:
            removed[i]["alone"] += 1
        if failed:
            removed[failed[0]]["count"] += 1
            continue
        matched += 1
        if unordered and sent >= limit:
            continue
        cost = len(signed) + 50
        if total + cost > ANSWER:
            missed = "an answer has no room for more: ask for fewer"
            continue
        if size + cost > LINE:
            yield "part", {"offers": part}
            part, size = [], 0
        part.append({"signed": signed, "source": "finder"})
        sent, size, total = sent + 1, size + cost, total + cost
    if part:
        yield "part", {"offers": part}
    done = {"known": len(known), "matched": matched, "removed": removed, "more": unordered and matched > sent, "missed": missed}
    yield "done", done


def serve(offers):
    """Serves one connection to its end."""
    conn = dial()
    try:
        with conn.makefile("rwb") as f:
            def say(message):
                f.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

            say({"serve": "discovery/1"})
            f.flush()
            greeting = json.loads(f.readline() or b'{"error":{"code":"gone","text":"hung up"}}')
            if "error" in greeting:
                raise OSError(f"refused: {greeting['error']['code']}: {greeting['error']['text']}")
            print("serving", greeting["ok"]["role"], "as", greeting["ok"]["slice"], flush=True)
            for line in f:
                q = json.loads(line)
                if q.get("cancel"):
                    continue  # answers are sent at once: there is nothing to stop
                if q["call"] != "find":
                    say({"id": q["id"], "error": {"code": "call", "text": "unknown"}})
                else:
                    for kind, body in find(offers, q["ask"]):
                        say({"id": q["id"], kind: body})
                f.flush()
    finally:
        conn.close()


def main():
    offers = Offers()
    threading.Thread(target=offers.run, daemon=True).start()
    pause = 0.2
    while True:
        began = time.monotonic()
        try:
            serve(offers)
            print("the node hung up", file=sys.stderr, flush=True)
        except (OSError, ValueError, KeyError) as e:
            print("not serving:", e, file=sys.stderr, flush=True)
        pause = 0.2 if time.monotonic() - began > 10 else min(2 * pause, 10)
        time.sleep(pause)


if __name__ == "__main__":
    main()
