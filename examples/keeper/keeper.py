#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A keeper of one's own: serves keeper/1 to the node on which it runs.

It renews what is due and makes up for what is lost, and spreads a slice: new slivers go
first to countries in which the slice has none. Nothing but Python 3 and the pages
docs/roles/README.md and keeper.md:

    croft run --where 'node=…' --name keeper ROOTFS -- /usr/bin/python3 /keeper.py
    croft role try keeper keeper

CROFT_SOCKET is the node's socket (default /run/croft/node.sock).
"""
import json
import os
import socket
import sys
import time

SOCKET = os.environ.get("CROFT_SOCKET", "/run/croft/node.sock")


class Spread:
    """Takes candidates one after another, of the country that was taken least."""

    def __init__(self, candidates):
        self.left = list(candidates)
        self.taken = {}

    def take(self):
        best = min(self.left, key=lambda c: self.taken.get(c.get("country"), 0))
        self.left.remove(best)
        country = best.get("country")
        self.taken[country] = self.taken.get(country, 0) + 1
        return best["node"]


def decide(ask):
    slivers = ask.get("slivers", [])
    spread = Spread(ask.get("candidates", []))
    new = min(ask["may"], len(spread.left))
    decision = {"renew": [s["sliver"] for s in slivers if s.get("due")], "replace": [], "add": []}
    for s in slivers:
        if s.get("lost") and new > 0:
            decision["replace"].append({"sliver": s["sliver"], "node": spread.take()})
            new -= 1
    decision["add"] = [spread.take() for _ in range(new)]
    return decision


def serve():
    """Serves one connection to its end."""
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        conn.connect(SOCKET)
        with conn.makefile("rwb") as f:
            def say(message):
                f.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
                f.flush()

            say({"serve": "keeper/1"})
            greeting = json.loads(f.readline() or b'{"error":{"code":"gone","text":"hung up"}}')
            if "error" in greeting:
                raise OSError(f"refused: {greeting['error']['code']}: {greeting['error']['text']}")
            print("serving", greeting["ok"]["role"], "as", greeting["ok"]["slice"], flush=True)
            for line in f:
                q = json.loads(line)
                if q.get("cancel"):
                    continue  # answers are sent at once: there is nothing to stop
                if q["call"] == "keep":
                    say({"id": q["id"], "done": decide(q["ask"])})
                else:
                    say({"id": q["id"], "error": {"code": "call", "text": "unknown"}})
    finally:
        conn.close()


def main():
    pause = 0.2
    while True:
        began = time.monotonic()
        try:
            serve()
            print("the node hung up", file=sys.stderr, flush=True)
        except (OSError, ValueError, KeyError) as e:
            print("not serving:", e, file=sys.stderr, flush=True)
        pause = 0.2 if time.monotonic() - began > 10 else min(2 * pause, 10)
        time.sleep(pause)


if __name__ == "__main__":
    main()
