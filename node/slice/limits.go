// SPDX-License-Identifier: Apache-2.0

package slice

import "time"

const (
	// MaxNodes bounds the nodes of one plan: what one person's machine can
	// hold a channel to at once, each for the seconds that a gang takes.
	MaxNodes = 1024

	// AskTimeout is how long a node may take to answer an ask or a commit
	// before the next candidate is asked: well within the 30 s of a hold.
	AskTimeout = 8 * time.Second

	// BidTimeout is the same of an ask that bids: a node may wait for up to 20 s
	// until it is decided, and asks for a decision once more then.
	BidTimeout = 25 * time.Second

	// FuseMargin is how long before the first hold falls the attempt is given
	// up or committed: the time that a commit needs over a slow path.
	FuseMargin = 3 * time.Second

	// ActivateTimeout bounds an activation; each sign of progress (bytes of the
	// image) winds it up again. The lease itself falls 60 s after its commit.
	ActivateTimeout = 45 * time.Second

	// StartTimeout bounds the time from activation to running in which there is
	// no sign of progress: a node unpacks an image meanwhile.
	StartTimeout = 2 * time.Minute

	// CloseTimeout bounds how long the end waits for nodes to confirm that they
	// closed; CloseRetry is the pause before a node is told again.
	CloseTimeout = 6 * time.Second
	CloseRetry   = 2 * time.Second

	// maxWhy bounds the nodes whose refusals are told one by one.
	maxWhy = 20
)
