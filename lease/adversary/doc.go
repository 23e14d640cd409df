// SPDX-License-Identifier: Apache-2.0

// Package adversary holds no code, only tests: what is proved of the ledger and
// the purses together, as the design states it.
//
// A world is one node's ledger, honest people with purses, and perhaps one agent
// who signs whatever it likes. At random they issue, split, give, redeem, hold,
// commit, renew, close and recall; messages are doubled, lost and come out of
// order; clocks are skewed and step; power fails between any two facts. After
// every step an oracle that knows nothing of the ledger's insides adds up, per
// instant, what is promised by the signed bytes. At the end an adversary that
// holds all bytes ever signed looks for a proof against anybody honest, and all
// over-issue that the node saw must have been proved.
//
// A failure prints the seed and the line that plays it again:
//
//	CROFT_SEED=4711 go test -run TestHistories ./lease/adversary
//
// CROFT_HISTORIES sets the number of histories, 2000 if it is not given.
// Mutants, deliberately broken ledgers, show that the checks would notice.
package adversary
