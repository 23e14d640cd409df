// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"time"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
)

// scoring makes rejections cost something: three leave a neighbour out of the
// gossip, five leave it unheard, and in ten minutes all is forgotten. Who floods
// leaves the mesh. Nothing else is scored: sharing an address is no offence in a lab
// or behind a NAT.
func scoring(topics []string, application func(peer.ID) float64) (*ps.PeerScoreParams, *ps.PeerScoreThresholds) {
	params := map[string]*ps.TopicScoreParams{}
	for _, topic := range topics {
		params[topic] = topicScore()
	}
	return &ps.PeerScoreParams{
			SkipAtomicValidation: true,
			SeenMsgTTL:           scoredFor,
			Topics:               params,
			AppSpecificScore:     application,
			AppSpecificWeight:    1,
			DecayInterval:        decayEvery,
			DecayToZero:          decayToZero,
			RetainScore:          gossip.RejectionForgotten,
		}, &ps.PeerScoreThresholds{
			SkipAtomicValidation: true,
			GossipThreshold:      gossip.GossipThreshold, PublishThreshold: gossip.GossipThreshold, GraylistThreshold: gossip.GraylistThreshold,
		}
}

func topicScore() *ps.TopicScoreParams {
	return &ps.TopicScoreParams{
		SkipAtomicValidation: true, TopicWeight: 1,
		TimeInMeshQuantum:              time.Second,
		InvalidMessageDeliveriesWeight: gossip.RejectionWeight,
		InvalidMessageDeliveriesDecay:  ps.ScoreParameterDecayWithBase(gossip.RejectionForgotten, decayEvery, decayToZero),
	}
}
