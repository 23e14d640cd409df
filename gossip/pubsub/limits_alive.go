// SPDX-License-Identifier: Apache-2.0

package pubsub

import "time"

const (
	// maxProbes bounds the probes under way: five neighbours, sixteen that were lost,
	// one by chance, and some that are late.
	maxProbes = 32
	// maxProbed bounds the probes that are answered at once; more are reset. Five
	// nodes probe another every five seconds, and seekers measure it.
	maxProbed = 64
	// maxProbedPeer bounds those of one peer, which needs one, or one by chance as
	// well; a source network has a quarter. Honest probes that find no place make
	// their askers suspect the node.
	maxProbedPeer = 2
	// dialTimeout bounds a dial, which goes on when its probe is given up: the next
	// one finds the connection.
	dialTimeout = 10 * time.Second

	nonceSize = 8 // bytes
	// ready answers the question itself, so that the nonce is not sent before both
	// sides speak the protocol.
	ready = 1
)
