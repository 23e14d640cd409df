// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

var noon = time.Unix(leasetest.Epoch+60, 0)

// play is a hub and what it said.
type play struct {
	*testing.T
	hub *Hub
	now time.Time
}

func newPlay(t *testing.T) *play { return &play{t, NewHub(), noon} }

func nameOf(owner, slice, topic string) Name { return Name{leasetest.Who(owner), slice, topic} }

// said signs what an author says on alice's web/status.
func (p *play) said(author, data string, change ...func(*Message)) []byte {
	p.Helper()
	m := Message{Author: leasetest.Who(author), Owner: leasetest.Who("alice"), Slice: "web", Topic: "status", Made: p.now.UnixMilli(), Data: []byte(data)}
	for _, f := range change {
		f(&m)
	}
	o, err := Seal(m, leasetest.Key(author))
	if err != nil {
		p.Fatal(err)
	}
	return o.Bytes
}

// step applies an input and wants these effects, each in a few words.
func (p *play) step(in Input, want ...string) {
	p.Helper()
	var got []string
	for _, e := range p.hub.Step(p.now, in) {
		switch e := e.(type) {
		case Verdict:
			got = append(got, strings.TrimSpace(string(e.Judgement)+" "+string(e.Reason)))
		case Delivered:
			got = append(got, "delivered "+string(e.Message.Data))
		case Fetch:
			got = append(got, "fetch "+e.Slice)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		p.Errorf("%s: got %q, want %q", p.now.Sub(noon), got, want)
	}
}

func (p *play) hears(author, data string, want ...string) {
	p.Helper()
	p.step(Received{Name: nameOf("alice", "web", "status"), Bytes: p.said(author, data)}, want...)
}

func (p *play) after(d time.Duration) { p.now = p.now.Add(d) }

// record is alice's of web, with rights on status.
func (p *play) record(sequence uint64, topic lease.Topic, nodes ...string) lease.OpenedSlice {
	topic.Name = "status"
	return leasetest.Record(p, "alice", "web", sequence, func(r *lease.SliceRecord) {
		r.Topics = []lease.Topic{topic}
		for _, n := range nodes {
			r.Nodes = append(r.Nodes, leasetest.Who(n))
		}
	})
}

// A record that is not here decides nothing: it is fetched, and what comes after
// it is judged by it.
func TestRightsComeWithTheRecord(t *testing.T) {
	p := newPlay(t)
	status := nameOf("alice", "web", "status")
	p.hears("node", "1", "ignore stranger")
	p.step(Join{status}, "accept", "fetch web")
	p.hears("alice", "2", "accept", "delivered 2")
	p.hears("node", "3", "ignore unknown-slice")
	p.step(Known{p.record(1, lease.Topic{Publishers: lease.BySlivers}, "node")})
	p.hears("node", "3", "accept", "delivered 3")
	p.hears("node", "3", "ignore duplicate")
	p.hears("bob", "4", "ignore unentitled")
	p.after(time.Minute)
	p.hears("bob", "5", "ignore unentitled", "fetch web")
	p.hears("bob", "6", "ignore unentitled")
	p.step(Known{p.record(2, lease.Topic{Principals: []lease.Principal{leasetest.Who("bob")}}, "node")})
	p.hears("bob", "7", "accept", "delivered 7")
	p.hears("node", "8", "ignore unentitled")
	p.step(Known{p.record(1, lease.Topic{Publishers: lease.ByAnybody})}) // an older one
	p.hears("node", "9", "ignore unentitled")
	p.step(Known{leasetest.Record(p, "bob", "web", 9, nil)}) // another's
	p.hears("node", "10", "ignore unentitled")
	p.step(Leave{status})
	p.hears("alice", "11", "ignore stranger")
	if len(p.hub.slices) > 0 {
		t.Errorf("left: %v", p.hub.slices)
	}
}

// Whom the owner grants it publishes by what he shows, as long as the grant
// stands on the newest record that is known.
func TestWhoIsGrantedItPublishes(t *testing.T) {
	p := newPlay(t)
	p.step(Join{nameOf("alice", "web", "status")}, "accept", "fetch web")
	shown := func(drawing string, sequence uint64) func(*Message) {
		g := leasetest.Draw(t, drawing).Last()
		return func(m *Message) {
			m.Authority = leasetest.Authority(g, leasetest.Record(t, "alice", m.Slice, sequence, nil, g))
		}
	}
	name := nameOf("alice", "web", "status")
	may := shown("grant(alice bob verbs=publish sequence=1 slice=web)", 1)
	p.step(Received{name, p.said("bob", "1", may)}, "accept", "delivered 1")
	p.step(Received{name, p.said("carol", "2", may)}, "ignore unentitled")
	p.step(Received{name, p.said("bob", "3", shown("grant(alice bob verbs=logs,exec sequence=1 slice=web)", 2))}, "ignore unentitled")
	p.step(Known{leasetest.Record(t, "alice", "web", 3, nil)}) // takes it back
	p.step(Received{name, p.said("bob", "4", may)}, "ignore unentitled")
	p.step(Received{name, p.said("bob", "5", func(m *Message) { m.Authority = []byte("no authority") })}, "ignore unentitled")
}

// What is wrong for everybody is the forwarder's fault, what is late is nobody's.
func TestVerdicts(t *testing.T) {
	p := newPlay(t)
	name := nameOf("alice", "web", "status")
	p.step(Join{name}, "accept", "fetch web")
	good := p.said("alice", "x")
	forged := append([]byte{}, good...)
	forged[len(forged)-1] ^= 1
	at := func(d time.Duration) func(*Message) {
		return func(m *Message) { m.Made = noon.Add(d).UnixMilli() }
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"garbage", []byte("hello"), "reject malformed"},
		{"forged", forged, "reject signature"},
		{"another topic's", p.said("alice", "x", func(m *Message) { m.Topic = "news" }), "reject field"},
		{"another slice's", p.said("alice", "x", func(m *Message) { m.Slice = "db" }), "reject field"},
		{"old", p.said("alice", "x", at(-MaxAge-time.Second)), "ignore expired"},
		{"early", p.said("alice", "x", at(181*time.Second)), "ignore early"},
		{"much", make([]byte, MaxMessage+1), "reject too-big"},
	} {
		t.Run(c.name, func(t *testing.T) { p.step(Received{name, c.bytes}, c.want) })
	}
	p.step(Received{name, p.said("alice", "a", at(180*time.Second))}, "accept", "delivered a")
	p.step(Received{name, p.said("alice", "b", at(-MaxAge))}, "accept", "delivered b")
	if _, err := Seal(Message{Author: leasetest.Who("alice"), Owner: leasetest.Who("alice"), Slice: "web", Topic: "status", Made: 1,
		Data: make([]byte, MaxData+1)}, leasetest.Key("alice")); err == nil {
		t.Error("a message with too much data is sealed")
	}
	p.step(Join{Name{leasetest.Who("alice"), "Web", "status"}}, "reject field")
}

// An author who floods costs the others nothing but what he is allowed, and what
// he said before comes again as long as it may.
func TestAFloodStopsAtItsAuthor(t *testing.T) {
	p := newPlay(t)
	name := nameOf("alice", "web", "status")
	p.step(Join{name}, "accept", "fetch web")
	p.step(Known{p.record(1, lease.Topic{Publishers: lease.ByAnybody})})
	passed := 0
	for i := range 200 {
		effects := p.hub.Step(p.now, Received{name, p.said("mallory", fmt.Sprint(i, strings.Repeat("x", MaxData-8)))})
		if effects[0].(Verdict).Judgement == "accept" {
			passed++
		}
	}
	if most := authorBurst / MaxData; passed == 0 || passed > most {
		t.Errorf("%d of a flood passed at once, want 1 to %d", passed, most)
	}
	p.hears("alice", "still here", "accept", "delivered still here")
	p.after(time.Second)
	p.hears("mallory", "one", "accept", "delivered one")
	p.after(time.Hour)
	if n := len(p.hub.joined[name].authors); n != 2 {
		t.Errorf("%d authors are told apart", n)
	}
}

func TestOneNodeHasSoManyTopics(t *testing.T) {
	p := newPlay(t)
	for i := range MaxJoined {
		if i == 0 {
			p.step(Join{nameOf("alice", "web", "t0")}, "accept", "fetch web")
		} else {
			p.step(Join{nameOf("alice", "web", fmt.Sprint("t", i))}, "accept")
		}
	}
	p.step(Join{nameOf("alice", "web", "t")}, "ignore crowded")
	p.step(Join{nameOf("alice", "web", "t1")}, "accept")
	p.step(Leave{nameOf("alice", "web", "t1")})
	p.step(Join{nameOf("alice", "web", "t")}, "accept")
}

func TestNames(t *testing.T) {
	n := nameOf("alice", "web", "status")
	if got, err := ParseName(n.String()); err != nil || got != n {
		t.Errorf("%s: %v, %v", n, got, err)
	}
	for _, s := range []string{"", "croft/capacity", "slice/", "slice/x/web/status", n.String() + "/", n.String() + "/x", strings.ToUpper(n.String()),
		strings.Replace(n.String(), "web", "Web", 1), "slice/" + n.Owner.String() + "//status"} {
		if _, err := ParseName(s); err == nil {
			t.Errorf("%q is a name", s)
		}
	}
	if n.Place() == nameOf("alice", "web", "news").Place() {
		t.Error("two topics meet at one place")
	}
}
