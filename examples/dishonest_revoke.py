#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""dishonest_revoke.py KEY LEASE: what an owner can sign with a node's key, and the
node's own software would not: the end of a lease, now, whatever grace it states.
LEASE is a file with the signed lease in base64; the revoke goes to stdout in the
same form. Written from docs/protocol/claims.md; the demonstration shows that
such a revoke proves the node's dishonour to anybody."""
import base64
import hashlib
import sys
import time

import cbor2
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

DOMAIN = b"croft/claim/1\n"

key_file, lease_file = sys.argv[1:]
with open(key_file, "rb") as f:
    key = load_ssh_private_key(f.read(), None)
with open(lease_file, encoding="ascii") as f:
    payload, _ = cbor2.loads(base64.b64decode(f.read()))
lease, now = cbor2.loads(payload), int(time.time())
revoke = {0: 8, 1: lease[1], 9: hashlib.sha256(DOMAIN + payload).digest(), 24: now, 25: "somebody pays more", 38: now}
said = cbor2.dumps(revoke, canonical=True)
print(base64.b64encode(cbor2.dumps([said, key.sign(DOMAIN + said)])).decode())
