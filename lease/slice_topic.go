// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Topic says who, beside the slice's owner and whom he granted it, may publish
// on one of the slice's topics. Anybody may subscribe.
type Topic struct {
	Name       string      `cbor:"1,keyasint" json:"name"` // a label, like a slice's
	Publishers Publishers  `cbor:"2,keyasint,omitempty" json:"publishers,omitempty"`
	Principals []Principal `cbor:"3,keyasint,omitempty" json:"principals,omitempty"` // ascending
}

// Publishers are groups who may publish. The numbers are on the wire.
type Publishers uint8

const (
	// BySlivers: the nodes that the record lists, each for the slice's sliver there.
	BySlivers Publishers = 1 << iota
	// ByAnybody: whoever signs.
	ByAnybody

	allPublishers = BySlivers | ByAnybody
)

func checkTopics(topics []Topic) error {
	named := 0
	for _, t := range topics {
		if err := first(CheckLabel(t.Name),
			field(t.Publishers&^allPublishers == 0, "topic %s: publishers %#x", t.Name, uint8(t.Publishers)),
			ascending("principals of a topic", t.Principals, MaxPublishers, func(a, b Principal) int { return bytes.Compare(a[:], b[:]) })); err != nil {
			return err
		}
		named += len(t.Principals)
	}
	return first(ascending("topics", topics, MaxTopics, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) }),
		field(named <= MaxPublishers, "%d principals at all topics, limit %d", named, MaxPublishers))
}

// AnybodyMay reports whether whoever signs may publish on a topic of the slice.
func (r SliceRecord) AnybodyMay(topic string) bool {
	return slices.ContainsFunc(r.Topics, func(t Topic) bool { return t.Name == topic && t.Publishers&ByAnybody != 0 })
}

// MayPublish judges, by the record alone, whether a principal may publish on a
// topic of the slice (rule R5 of docs/protocol/slices.md). Whom a grant lets,
// the grant says. The error is ErrGrant.
func (r SliceRecord) MayPublish(topic string, who Principal) error {
	if who == r.Owner {
		return nil
	}
	for _, t := range r.Topics {
		if t.Name != topic {
			continue
		}
		if t.Publishers&ByAnybody != 0 || slices.Contains(t.Principals, who) ||
			t.Publishers&BySlivers != 0 && slices.Contains(r.Nodes, who) {
			return nil
		}
	}
	return fmt.Errorf("record %d of %s@%s lets %s not publish on %q: %w", r.Sequence, labelled(r.Slice), r.Owner.Short(), who.Short(), topic, ErrGrant)
}
