// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
)

// mux finds handlers by protocol: of streams whose protocol was known beforehand by
// itself, of others as multistream negotiates it. It implements [protocol.Switch].
type mux struct {
	*multistream.MultistreamMuxer[protocol.ID]
	mu   sync.Mutex
	list []handler
	ids  []protocol.ID // never written, only replaced: peerstores share it
}

type handler struct {
	id    protocol.ID
	match func(protocol.ID) bool
	do    protocol.HandlerFunc
}

func newMux() *mux { return &mux{MultistreamMuxer: multistream.NewMultistreamMuxer[protocol.ID]()} }

// AddHandler implements [protocol.Router].
func (m *mux) AddHandler(id protocol.ID, do protocol.HandlerFunc) {
	m.AddHandlerWithFunc(id, func(o protocol.ID) bool { return o == id }, do)
}

// AddHandlerWithFunc implements [protocol.Router].
func (m *mux) AddHandlerWithFunc(id protocol.ID, match func(protocol.ID) bool, do protocol.HandlerFunc) {
	m.MultistreamMuxer.AddHandlerWithFunc(id, match, do)
	m.replace(id, func(list []handler) []handler { return append(list, handler{id, match, do}) })
}

// RemoveHandler implements [protocol.Router].
func (m *mux) RemoveHandler(id protocol.ID) {
	m.MultistreamMuxer.RemoveHandler(id)
	m.replace(id, func(list []handler) []handler { return list })
}

func (m *mux) replace(id protocol.ID, with func([]handler) []handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = with(slices.DeleteFunc(m.list, func(h handler) bool { return h.id == id }))
	m.ids = make([]protocol.ID, len(m.list))
	for i, h := range m.list {
		m.ids[i] = h.id
	}
}

// Protocols implements [protocol.Router]. The slice must not be written.
func (m *mux) Protocols() []protocol.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids
}

// find returns the handler of a protocol; nil: there is none.
func (m *mux) find(id protocol.ID) protocol.HandlerFunc {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.list {
		if h.match(id) {
			return h.do
		}
	}
	return nil
}
