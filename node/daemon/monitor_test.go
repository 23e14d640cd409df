// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_monitor

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/role"
)

// gauges are what a test says was measured.
type gauges struct {
	diagnoses
	news chan struct{}
	mu   sync.Mutex
	list []measurement
}

func (g *gauges) News() <-chan struct{} { return g.news }
func (g *gauges) Suspects() []measurement {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list
}
func (g *gauges) Measured(node lease.Principal) measurement {
	for _, m := range g.Suspects() {
		if m.Node == node {
			return m
		}
	}
	return measurement{Node: node}
}
func (g *gauges) Diagnosed(list []diagnosis, sequences map[lease.Principal]uint64, unanswered []lease.Principal) {
	g.put(list, sequences, unanswered)
}

func (g *gauges) read(list ...measurement) {
	g.mu.Lock()
	g.list = list
	g.mu.Unlock()
	g.news <- struct{}{}
}

// What is measured is judged by whoever fills the role, as far as the measurements bear
// it, and goes for the offer that it was about.
func TestWhoIsThereIsTheMonitorsToSay(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		g := h.watched(t)
		n1, n2 := leasetest.Who("n1"), leasetest.Who("n2")
		at := func(node lease.Principal, sequence uint64) health {
			return g.of(&offer.Offer{Node: node, Sequence: sequence}).Health
		}
		stands := func(when string, one, two health) {
			t.Helper()
			h.m.pass(time.Second)
			if a, b := at(n1, 5), at(n2, 5); a != one || b != two {
				t.Errorf("%s: %s, %s", when, a, b)
			}
		}
		suspected := measurement{Node: n1, Sequence: 5, Suspected: []suspectedBy{{By: 1}}}
		g.read(suspected, measurement{Node: n2, Sequence: 5, Missed: 3})
		stands("by the built-in", doubted, absent)
		if at(n1, 6) != present {
			t.Error("a newer offer is doubted")
		}

		says := "present"
		serveAs(t, h.m.doors.dial(t, h.sliver), "monitor/1", func(q role.Question) []string {
			var ask healthAsk
			if err := json.Unmarshal(q.Ask, &ask); err != nil {
				t.Error(err)
			}
			out := healthDone{}
			for _, m := range ask.Nodes {
				out.Nodes = append(out.Nodes, diagnosis{Node: m.Node, Health: health(says)})
			}
			b, _ := json.Marshal(out)
			return []string{`{"id":%d,"done":` + string(b) + `}`}
		})
		h.decideOn("monitor", "try", h.slice)
		g.read(suspected)
		stands("tried", doubted, present)
		h.decideOn("monitor", "promote", h.slice)
		g.read(measurement{Node: n1, Sequence: 5, Suspected: []suspectedBy{{By: 2}}})
		stands("promoted", present, present)

		// It makes a node out to be absent against which nothing speaks.
		says = "absent"
		h.m.pass(time.Minute)
		g.read(measurement{Node: n1, Sequence: 5, RTT: 9}, measurement{Node: n2, Sequence: 5, Suspected: []suspectedBy{{By: 1}}})
		stands("it lies", present, doubted)
		if got := h.tenantOf("monitor", h.slice); got.Failed != 1 {
			t.Errorf("%+v", got)
		}

		// What was judged goes when there is nothing any more.
		g.read()
		stands("nothing is measured", present, present)
	})
}

// watched runs the watch on gauges.
func (h *hired) watched(t *testing.T) *gauges {
	g := &gauges{news: make(chan struct{}, 1)}
	h.d.deps.Measures = g
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); h.d.watchHealth(ctx) }()
	t.Cleanup(func() { cancel(); <-over })
	return g
}

// The dead are not present because there are too many of them to ask about.
func TestInAnOutageNobodyIsPresentForWantOfAQuestion(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		g := h.watched(t)
		list := suspects(mostJudged + 100)
		g.read(list...)
		h.m.pass(time.Second)
		for i, m := range list {
			if got := g.of(&offer.Offer{Node: m.Node, Sequence: 5}).Health; got != absent {
				t.Fatalf("number %d is %s", i, got)
			}
		}
	})
}

// Who fills the role is asked again whenever its time has come, however lately there was
// news.
func TestTheMonitorIsAskedAsOftenAsItsPageSays(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		g := h.watched(t)
		var asked atomic.Int32
		serveAs(t, h.m.doors.dial(t, h.sliver), "monitor/1", func(role.Question) []string {
			asked.Add(1)
			return []string{`{"id":%d,"done":{}}`}
		})
		h.decideOn("monitor", "try", h.slice)
		h.decideOn("monitor", "promote", h.slice)
		h.m.pass(judgeAgain / 4)
		g.read(measurement{Node: leasetest.Who("n1"), Sequence: 5, Suspected: []suspectedBy{{By: 1}}})
		h.m.pass(6 * judgeAgain)
		if n := asked.Load(); n < 6 {
			t.Errorf("asked %d times in 6 × %s", n, judgeAgain)
		}
	})
}

// The alternative is one: of old suspicions it makes something else than the built-in, and
// the suite has a case of it.
func TestTheExampleDecidesOtherwise(t *testing.T) {
	s, d := stage(t, "monitor")
	heir := heirAtDoor(t, d, "monitor")
	job, err := role.Lookup("monitor")
	if err != nil {
		t.Fatal(err)
	}
	otherwise := 0
	for _, x := range s.Cases {
		if x.Agreement == 0 {
			continue
		}
		call, _ := job.Call(x.Call)
		c := d.judged(t, "monitor", x.Call)
		var said [2]any
		for i, by := range []tenant{builtins["monitor"](d), heir} {
			done, err := by.Call(t.Context(), call, x.Ask, func(json.RawMessage) error { return errLie })
			if err != nil {
				t.Fatal(err)
			}
			if said[i], err = c.judge(x.Ask, done); err != nil {
				t.Fatal(err)
			}
		}
		if agrees, err := c.agreed(x.Ask, said[0], said[1]); err != nil || agrees != x.Agreement {
			t.Errorf("%s: they agree to %g, %v; want %g", x.Ask, agrees, err, x.Agreement)
		}
		otherwise++
	}
	if otherwise == 0 {
		t.Error("no case shows it")
	}
}

// Who says nothing earns nothing where there is nothing to say, and loses where there is.
func TestSilenceEarnsNoAgreement(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		for name, call := range map[string]struct {
			call, idle, said string
		}{
			"monitor":  {"health", `{"nodes":[{"node":"%s","sequence":1,"rtt_us":9}]}`, `{"nodes":[{"node":"%s","sequence":1,"missed":1,"silent":true}]}`},
			"names":    {"reverse", `{"principals":["%s"]}`, ""},
			"topology": {"near", `{"nodes":[{"node":"%s","as":1}]}`, `{"nodes":[{"node":"%s","rtt_us":9}]}`},
		} {
			serveAs(t, h.m.doors.dial(t, h.sliver), name+"/1", func(role.Question) []string { return []string{`{"id":%d,"done":{}}`} })
			h.decideOn(name, "try", h.slice)
			for i, ask := range []string{call.idle, call.said} {
				if ask == "" {
					continue
				}
				if _, err := h.d.roles.AskRole(t.Context(), name, call.call, fmt.Appendf(nil, ask, leasetest.Who("n1"))); err != nil {
					t.Fatal(err)
				}
				h.m.pass(time.Second)
				if got := h.tenantOf(name, h.slice); got.Asked != uint64(i+1) || got.Trials != uint64(i) || got.Agreement != 0 {
					t.Errorf("%s: %+v", name, got)
				}
			}
		}
	})
}
