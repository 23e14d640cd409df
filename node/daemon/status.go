// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"sync"

	slivernet "croft/ebpf/net"
	"croft/sandbox"
)

// status is what is known of the slivers besides the ledger's books: it is read
// by those who ask, and may always be made anew.
type status struct {
	mu   sync.Mutex
	runs map[string]run
}

type run struct {
	state    sandbox.State
	reason   string
	exit     *int
	restarts int
	network  slivernet.Attachment
}

func newStatus() *status { return &status{runs: map[string]run{}} }

func (s *status) changed(e sandbox.Changed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.State == sandbox.Gone {
		delete(s.runs, e.Sliver)
		return
	}
	r := s.runs[e.Sliver]
	r.state, r.reason = e.State, e.Reason
	s.runs[e.Sliver] = r
}

// seen takes a warden's word.
func (s *status) seen(st sandbox.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.runs[st.Sliver]; ok {
		r.exit, r.restarts = st.Exit, st.Restarts
		s.runs[st.Sliver] = r
	}
}

func (s *status) bound(sliver string, att slivernet.Attachment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[sliver]
	r.network = att
	s.runs[sliver] = r
}

// forget drops what no booking names any more.
func (s *status) forget(sliver string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, sliver)
}

func (s *status) get(sliver string) run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[sliver]
}
