#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A monitor of one's own: serves monitor/1 to the node on which it runs.

It weighs what speaks against a node, each word the less the older it is: three sites of
long ago are no more than a doubt to it, of which the built-in leaves the node out. Nothing but Python 3 and the pages docs/roles/README.md and monitor.md:

    croft run --where 'node=…' --name monitor ROOTFS -- /usr/bin/python3 /monitor.py
    croft role try monitor monitor

CROFT_SOCKET is the node's socket (default /run/croft/node.sock).
"""
import json
import os
import socket
import sys
import time

SOCKET = os.environ.get("CROFT_SOCKET", "/run/croft/node.sock")
VALID = 300.0      # seconds for which a suspicion counts
SURE = 3           # probes missed in a row: this node knows by itself
ABSENT = 2.0       # weight above which a node is left out: three sites, most of them lately


def weight(node):
    """How much speaks against a node: 1 for a site that has just said so, half for one whose
    word is about to be forgotten. Two sites are few, and count for half."""
    total = 0.0
    for s in node.get("suspected", []):
        total += 1.0 - 0.5 * min(s.get("age_s", 0) / VALID, 1.0)
    return total if len(node.get("suspected", [])) > 2 else total / 2


def judge(node):
    against = weight(node)
    if node.get("missed", 0) >= SURE or against > ABSENT:
        health = "absent"
    elif against > 0 or node.get("silent"):
        health = "doubted"
    else:
        health = "present"
    verdict = {"node": node["node"], "health": health}
    if 0 < node.get("rtt_us", 0) < node.get("least_us", 0):
        verdict["contradicted"] = "position"
    return verdict


def serve():
    """Serves one connection to its end."""
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        conn.connect(SOCKET)
        with conn.makefile("rwb") as f:
            def say(message):
                f.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
                f.flush()

            say({"serve": "monitor/1"})
            greeting = json.loads(f.readline() or b'{"error":{"code":"gone","text":"hung up"}}')
            if "error" in greeting:
                raise OSError(f"refused: {greeting['error']['code']}: {greeting['error']['text']}")
            print("serving", greeting["ok"]["role"], "as", greeting["ok"]["slice"], flush=True)
            for line in f:
                q = json.loads(line)
                if q.get("cancel"):
                    continue  # answers are sent at once: there is nothing to stop
                if q["call"] == "health":
                    say({"id": q["id"], "done": {"nodes": [judge(n) for n in q["ask"]["nodes"]]}})
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
