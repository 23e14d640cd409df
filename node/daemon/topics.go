// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip/pubsub"
	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/judge"
	"croft/node/api"
	"croft/node/wire"
)

// sliceTopics is what the topics of slices need of this node.
func (o *overlay) sliceTopics(cfg Config, key lease.Signer) *pubsub.SliceConfig {
	c := &pubsub.SliceConfig{Key: key, Router: o.dht, Record: o.dht.Record, Locate: o.node, Dialable: o.keep}
	if cfg.Profile == ProfileLab {
		c.PerNetwork = topic.MaxMet
	}
	return c
}

// node finds a node's addresses.
func (o *overlay) node(ctx context.Context, p lease.Principal) (peer.AddrInfo, error) {
	id, err := wire.PeerID(p)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	o.locate(ctx, id, p)
	return o.host.Peerstore().PeerInfo(id), nil
}

// topics are those of slices, as people of this machine meet them.
type topics struct{ s *pubsub.Slices }

func (t topics) Say(ctx context.Context, message []byte) (api.Said, error) {
	said, err := t.s.Publish(ctx, message)
	var no *pubsub.Unpublished
	switch {
	case err == nil:
		return api.Said(said), nil
	case errors.As(err, &no) && no.Reason == judge.Unentitled:
		err = fmt.Errorf("%w publish on this topic", api.ErrNotGranted)
	case errors.As(err, &no) && no.Reason == judge.UnknownSlice:
		err = fmt.Errorf("%w, which would say who may publish", api.ErrNoRecord)
	case errors.As(err, &no) && (no.Reason == judge.TooOften || no.Reason == judge.Crowded), errors.Is(err, pubsub.ErrRefused):
		err = fmt.Errorf("%w: %w", api.ErrBusy, err)
	case errors.As(err, &no):
		err = fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return api.Said{}, err
}

func (t topics) Hear(ctx context.Context, name topic.Name, ready func()) iter.Seq2[api.Heard, error] {
	return func(yield func(api.Heard, error) bool) {
		sub, err := t.s.Subscribe(ctx, name)
		if errors.Is(err, pubsub.ErrRefused) {
			err = fmt.Errorf("%w: %w", api.ErrBusy, err)
		}
		if err != nil {
			yield(api.Heard{}, err)
			return
		}
		defer sub.Close()
		ready()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.s.Done():
				yield(api.Heard{}, api.ErrStopping)
				return
			case m := <-sub.C:
				if !yield(api.Heard{ID: m.ID, Author: m.Author, Made: m.Made, Data: m.Data, Missed: m.Missed}, nil) {
					return
				}
			}
		}
	}
}

// Moved is what came and was passed on, on a topic that this node is on, in bytes.
func (t topics) Moved(name topic.Name) (in, out uint64) {
	m := t.s.Moved(name)
	return m.BytesIn, m.BytesOut
}

// Reach is how many neighbours a topic has, and how many hear it here.
func (t topics) Reach(name topic.Name) (neighbours, here int) { return t.s.Reach(name) }
