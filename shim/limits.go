// SPDX-License-Identifier: Apache-2.0

package shim

import "time"

const (
	// maxLine is the size in bytes of a line to or from the node, its end not counted:
	// what the role protocol allows.
	maxLine = 64 << 10

	// maxWhole and maxParts are the size in bytes of all lines of an answer, and their
	// number without the end: what the role protocol allows. maxEnd is left for the end,
	// a line.
	maxWhole = 1 << 20
	maxParts = 4096 - 1
	maxEnd   = maxLine

	// maxData is the size in bytes of a message: what the node takes.
	maxData = 16 << 10

	// maxConns is how many connections one Node has to the node at once: a sliver may
	// have 8 with those on which it serves roles. A subscription is one.
	maxConns = 6

	// maxAnswer bounds what is read of an answer of the node.
	maxAnswer = 64 << 20

	// maxProblem bounds the sentence of a refusal.
	maxProblem = 64 << 10

	// minPause and maxPause bound the wait before the node is dialled again: the first
	// is short, as most are restarts. A connection that lasted calmAfter begins anew.
	minPause  = 200 * time.Millisecond
	maxPause  = 10 * time.Second
	calmAfter = 10 * time.Second

	// dialLimit bounds one try to reach the node.
	dialLimit = 5 * time.Second
)
