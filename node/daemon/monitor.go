// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"slices"

	"croft/gossip/alive"
	"croft/lease"
)

// The messages of monitor/1: docs/roles/monitor.md.
type (
	healthAsk struct {
		Nodes []measurement `json:"nodes"`
	}
	// measurement is what is known of one node's health. Times are as of the question.
	measurement struct {
		Node      lease.Principal `json:"node"`
		Sequence  uint64          `json:"sequence,omitempty"` // of its offer
		RTT       int64           `json:"rtt_us,omitempty"`
		Silent    bool            `json:"silent,omitempty"`
		Age       int64           `json:"measured_s,omitempty"`
		Least     int64           `json:"least_us,omitempty"`
		Missed    int             `json:"missed,omitempty"`
		Suspected []suspectedBy   `json:"suspected,omitempty"`
	}
	suspectedBy struct {
		Site lease.Principal `json:"site,omitzero"`
		By   int             `json:"by"`
		Age  int64           `json:"age_s"`
	}
	healthDone struct {
		Nodes []diagnosis `json:"nodes,omitempty"`
	}
	diagnosis struct {
		Node         lease.Principal `json:"node"`
		Health       health          `json:"health"`
		Contradicted string          `json:"contradicted,omitempty"`
	}
)

// health is what a node is taken for.
type health string

const (
	present health = "present"
	doubted health = "doubted" // it comes last
	absent  health = "absent"  // it is left out
)

// byPosition: the answer came sooner than light could have brought it from where the
// offer says that its node stands.
const byPosition = "position"

// tooNear reports whether a round trip contradicts the position in an offer.
func (m measurement) tooNear() bool { return m.RTT > 0 && m.RTT < m.Least }

// speaks reports whether anything speaks against a node's being there.
func (m measurement) speaks() bool { return m.Missed > 0 || m.Silent || len(m.Suspected) > 0 }

// counted is what gossip/alive takes a node for, which counts sites, by the same evidence.
func (m measurement) counted() health {
	switch {
	case m.Missed >= alive.Certain || len(m.Suspected) >= alive.Sites:
		return absent
	case len(m.Suspected) > 0:
		return doubted
	}
	return present
}

// health is the call: what was measured → who is there, and whose offer is contradicted.
func (d *Daemon) health() decision[healthAsk, healthDone] {
	return decision[healthAsk, healthDone]{role: "monitor", call: "health",
		want: func(q *healthAsk) error {
			if len(q.Nodes) == 0 || len(q.Nodes) > maxJudged {
				return fmt.Errorf("%d nodes: want 1 to %d", len(q.Nodes), maxJudged)
			}
			var nodes []lease.Principal
			for i, m := range q.Nodes {
				nodes = append(nodes, m.Node)
				if m.Sequence == 0 && d.deps.Measures != nil {
					q.Nodes[i] = d.deps.Measures.Measured(m.Node)
				}
			}
			if slices.Contains(nodes, lease.Principal{}) || repeats(nodes) {
				return errors.New("a node that is none, or twice")
			}
			return nil
		},
		check: func(q healthAsk, a *healthDone) error {
			said := map[lease.Principal]diagnosis{}
			for _, v := range a.Nodes {
				if _, again := said[v.Node]; again {
					return fmt.Errorf("it judges %s twice", v.Node.Short())
				}
				said[v.Node] = v
			}
			out := make([]diagnosis, 0, len(q.Nodes))
			for _, m := range q.Nodes {
				v, ok := said[m.Node]
				if !ok {
					v = diagnosis{Node: m.Node, Health: present}
				}
				delete(said, m.Node)
				if err := m.bears(v); err != nil {
					return err
				}
				out = append(out, v)
			}
			for node := range said {
				return fmt.Errorf("it judges %s, which was not asked about", node.Short())
			}
			a.Nodes = out
			return nil
		},
		agree: func(q healthAsk, given, other healthDone) float64 {
			same, most := 0, 0
			for i, m := range q.Nodes { // both are in the order of the question
				switch alike := given.Nodes[i] == other.Nodes[i]; {
				case !alike:
					most++
				case m.speaks() || m.tooNear():
					most, same = most+1, same+1
				}
			}
			if most == 0 {
				return 1
			}
			return float64(same) / float64(most)
		},
		// Of nodes against which nothing speaks anybody is right who says nothing.
		idle: func(q healthAsk, given, other healthDone) bool {
			for i, m := range q.Nodes {
				if m.speaks() || m.tooNear() || given.Nodes[i] != other.Nodes[i] {
					return false
				}
			}
			return true
		}}
}

// bears returns an error for a diagnosis that the measurements refute.
func (m measurement) bears(v diagnosis) error {
	switch {
	case v.Health != present && v.Health != doubted && v.Health != absent:
		return fmt.Errorf("%s is %.20q", m.Node.Short(), string(v.Health))
	case v.Health == absent && !m.speaks():
		return fmt.Errorf("%s is absent, and nothing speaks against it", m.Node.Short())
	case v.Health == present && m.Missed >= alive.Certain:
		return fmt.Errorf("%s is present, and did not answer this node %d times", m.Node.Short(), m.Missed)
	case v.Contradicted != "" && v.Contradicted != byPosition:
		return fmt.Errorf("%s is contradicted by %.20q", m.Node.Short(), v.Contradicted)
	case v.Contradicted == byPosition && !m.tooNear():
		return fmt.Errorf("%s is contradicted, and its answers took as long as light does", m.Node.Short())
	}
	return nil
}
