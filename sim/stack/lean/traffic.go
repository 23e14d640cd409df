// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/protocol"
)

// Traffic is what all hosts have sent by one protocol, with what the network adds.
type Traffic struct {
	Protocol string // "connections" for dials and ends, "negotiation" before a protocol is agreed on
	Bytes    uint64
	Streams  uint64 // that were opened; dials of connections
}

// traffic counts what is sent by each protocol.
type traffic struct{ by sync.Map } // of *tally by protocol.ID

type tally struct{ bytes, streams atomic.Uint64 }

const (
	connections protocol.ID = "connections"
	negotiation protocol.ID = "negotiation"
)

func (t *traffic) of(id protocol.ID) *tally {
	if id == "" {
		id = negotiation
	}
	if c, ok := t.by.Load(id); ok {
		return c.(*tally)
	}
	c, _ := t.by.LoadOrStore(id, new(tally))
	return c.(*tally)
}

// spend counts bytes that a host sends.
func (h *Host) spend(id protocol.ID, bytes int) {
	h.sent.Add(uint64(bytes))
	h.fabric.traffic.of(id).bytes.Add(uint64(bytes))
}

// Traffic tells what was sent so far by which protocol, the most first.
func (f *Fabric) Traffic() (all []Traffic) {
	f.traffic.by.Range(func(id, c any) bool {
		t := c.(*tally)
		all = append(all, Traffic{Protocol: string(id.(protocol.ID)), Bytes: t.bytes.Load(), Streams: t.streams.Load()})
		return true
	})
	slices.SortFunc(all, func(a, b Traffic) int {
		if a.Bytes != b.Bytes {
			return int(min(max(int64(b.Bytes)-int64(a.Bytes), -1), 1))
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	return all
}
