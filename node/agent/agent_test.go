// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/purse"
)

var noon = time.Unix(leasetest.Epoch, 0)

// desk is an agent with a purse, at an instant.
type desk struct {
	t         *testing.T
	purse     *purse.Purse
	agent     *Agent
	now       time.Time
	delivered map[lease.Principal][]*lease.Ticket
	fetched   []lease.Principal
	refs      uint64
}

func site() Config {
	cpu := func(n uint64) lease.RSet { return lease.RSet{lease.CPU: n} }
	return Config{Nodes: []lease.Principal{leasetest.Who("n1")},
		People: []Person{{"ann", leasetest.Who("ann"), cpu(3000), 3600}},
		Guests: Person{Most: cpu(500), Longest: 600},
		Peers: []Peer{{"uni-b", leasetest.Who("b"), []lease.Principal{leasetest.Who("n2")}, 30, 100, 3600},
			{"uni-c", leasetest.Who("c"), nil, 30, 100, 3600}}}
}

func newDesk(t *testing.T, cfg Config) *desk {
	p := purse.New(leasetest.Key("agent"))
	return &desk{t: t, purse: p, agent: New(cfg, p, Account{}), now: noon, delivered: map[lease.Principal][]*lease.Ticket{}}
}

// tell gives the agent an input, does what it wants, and returns what it answers
// to a wish.
func (d *desk) tell(in Input) (answer Answer) {
	d.t.Helper()
	inputs := []Input{in}
	for steps := 0; len(inputs) > 0; steps++ {
		if steps > 1000 {
			d.t.Fatal("agent and purse go round in circles")
		}
		next := inputs[0]
		inputs = inputs[1:]
		for _, e := range d.agent.Step(d.now, next) {
			switch e := e.(type) {
			case Fetch:
				d.fetched = append(d.fetched, e.Node)
			case Answer:
				answer = e
			case Deliver:
				o, err := lease.Open(e.Chain[len(e.Chain)-1])
				if err != nil {
					d.t.Fatal(err)
				}
				d.delivered[e.To] = append(d.delivered[e.To], o.Statement.(*lease.Ticket))
			case Sign:
				var done Input = Declined{Ref: e.Ref, Why: purse.ErrUnknown}
				for _, p := range d.purse.Step(d.now, e.In) {
					switch p := p.(type) {
					case purse.Release:
						done = Signed{Ref: e.Ref, Chain: p.Chain}
					case purse.Refuse:
						done = Declined{Ref: e.Ref, Why: p.Err}
					}
				}
				inputs = append(inputs, done)
			}
		}
	}
	return answer
}

func (d *desk) wish(by string, cpu uint64, length time.Duration, not ...lease.Principal) (*lease.Ticket, error) {
	d.t.Helper()
	d.refs++
	from := d.now.Unix()
	a := d.tell(Wish{Ref: d.refs, By: leasetest.Who(by), RSet: lease.RSet{lease.CPU: cpu}, Term: lease.Term{From: from, Until: from + int64(length.Seconds())}, Not: not})
	if a.Ref != d.refs {
		d.t.Fatalf("answer %s to wish %d", a, d.refs)
	}
	if a.Err != nil {
		return nil, a.Err
	}
	chain, err := lease.VerifyChain(a.Chain, mustRoot(d.t, a.Chain))
	if err != nil {
		d.t.Fatal(err)
	}
	return chain.Leaf().Statement.(*lease.Ticket), nil
}

func mustRoot(t *testing.T, chain [][]byte) lease.Principal {
	t.Helper()
	o, err := lease.Open(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return o.By()
}

// came lets a drawing's tickets come from a node.
func (d *desk) came(node, drawing string) {
	d.t.Helper()
	d.tell(Came{From: leasetest.Who(node), Chains: [][][]byte{leasetest.Draw(d.t, drawing).Last().Chain()}})
}

func (d *desk) party(name string) Party {
	for _, p := range d.agent.Account().Parties {
		if p.Name == name {
			return p
		}
	}
	d.t.Fatalf("no party %q in %+v", name, d.agent.Account())
	return Party{}
}

func TestPeersGetTheirShareAndPeopleTheRest(t *testing.T) {
	d := newDesk(t, site())
	d.tell(Tick{})
	if len(d.fetched) != 2 {
		t.Fatalf("asked %v", d.fetched)
	}
	d.came("n1", "cap(n1 cpu=4000 0h..4h @150) -> t0(agent cpu=4000)")
	for _, peer := range []string{"b", "c"} {
		got := d.delivered[leasetest.Who(peer)]
		if len(got) != 1 || got[0].RSet[lease.CPU] != 1200 || got[0].Until-got[0].From != 3600 {
			t.Fatalf("%s gets %+v", peer, got)
		}
	}
	// 6000 may be promised of 4000, and the peers have 2400.
	if _, err := d.wish("ann", 3000, time.Hour); err != nil {
		t.Errorf("ann: %v", err)
	}
	if _, err := d.wish("ann", 100, time.Hour); !errors.Is(err, ErrMost) {
		t.Errorf("ann has 3000 of 3000 and gets more: %v", err)
	}
	if _, err := d.wish("guest", 500, 10*time.Minute); err != nil {
		t.Errorf("a guest: %v", err)
	}
	if _, err := d.wish("other guest", 500, 10*time.Minute); !errors.Is(err, ErrNothing) {
		t.Errorf("100 are left, and a guest gets 500: %v", err)
	}
	if _, err := d.wish("other guest", 10, time.Hour); !errors.Is(err, ErrLongest) {
		t.Errorf("a guest for an hour: %v", err)
	}
	// By half of its term each peer has the next hour too, and no more than that.
	for range 40 {
		d.now = d.now.Add(time.Minute)
		d.tell(Tick{})
	}
	if got := d.delivered[leasetest.Who("b")]; len(got) != 2 || got[1].From != got[0].Until {
		t.Errorf("b has %+v", got)
	}
	if given := d.party("uni-b").Given[lease.CPU]; given != 2400 {
		t.Errorf("uni-b was given %v cpu·hours, want 2400", given)
	}
	if own := d.party("own site"); own.Taken[lease.CPU] != 16000 {
		t.Errorf("the own site gave %v cpu·hours, want 16000", own.Taken[lease.CPU])
	}
	if other := d.party(leasetest.Who("other guest").Short()); other.Refused != 2 {
		t.Errorf("the other guest was refused %d times", other.Refused)
	}
}

func TestAfterARestartNothingIsSignedTwice(t *testing.T) {
	d := newDesk(t, site())
	d.came("n1", "cap(n1 cpu=4000 0h..4h) -> t0(agent cpu=4000)")
	signed, account := len(d.purse.Held()[0].Issued), d.agent.Account()
	d.agent = New(site(), d.purse, account)
	d.now = d.now.Add(time.Second)
	d.tell(Tick{})
	d.came("n1", "cap(n1 cpu=4000 0h..4h) -> t0(agent cpu=4000)")
	if n := len(d.purse.Held()[0].Issued); n != signed {
		t.Errorf("%d tickets are signed, %d before the restart", n, signed)
	}
	if got := d.delivered[leasetest.Who("b")]; len(got) != 2 || *got[0] != *got[1] {
		t.Errorf("after the restart b is to have %+v", got)
	}
	if given := d.party("uni-b").Given; given != account.Parties[1].Given {
		t.Errorf("the account counts twice: %+v", d.agent.Account())
	}
}

func TestWhoBrokeAPromiseGetsNothing(t *testing.T) {
	d := newDesk(t, site())
	for i, who := range []string{"b", "ann"} {
		for range 2 { // the second time is no second conflict
			d.tell(Proved{ID: lease.ID{byte(i) + 1}, Principal: leasetest.Who(who), Until: noon.Unix() + 7200})
		}
	}
	d.came("n1", "cap(n1 cpu=4000 0h..9h) -> t0(agent cpu=4000)")
	if len(d.delivered[leasetest.Who("b")]) != 0 || len(d.delivered[leasetest.Who("c")]) != 1 {
		t.Errorf("delivered %v", d.delivered)
	}
	if _, err := d.wish("ann", 100, time.Hour); !errors.Is(err, ErrQuarantine) {
		t.Errorf("ann: %v", err)
	}
	if n := d.party("uni-b").Conflicts; n != 1 {
		t.Errorf("%d conflicts of uni-b", n)
	}
	d.now = d.now.Add(2 * time.Hour)
	d.tell(Tick{})
	if _, err := d.wish("ann", 100, time.Hour); err != nil || len(d.delivered[leasetest.Who("b")]) != 1 {
		t.Errorf("after the quarantine: %v, delivered %v", err, d.delivered)
	}
}

func TestANodeThatRefusesIsAskedLast(t *testing.T) {
	cfg := site()
	cfg.Peers = cfg.Peers[:1]
	cfg.Peers[0].Share = 0
	d := newDesk(t, cfg)
	d.came("n1", "cap(n1 cpu=4000 0h..4h) -> t0(agent cpu=4000)")
	d.came("n2", "cap(n2 cpu=2000 0h..4h) -> t0(agent cpu=2000)")
	got, err := d.wish("ann", 500, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	first := got.Node
	d.tell(Complaint{By: leasetest.Who("ann"), Node: first, Code: "oversubscribed"})
	if got, err = d.wish("ann", 500, time.Hour); err != nil || got.Node == first {
		t.Errorf("after the complaint: %v, %v", got, err)
	}
	if _, err = d.wish("ann", 500, time.Hour, leasetest.Who("n1"), leasetest.Who("n2")); !errors.Is(err, ErrNothing) {
		t.Errorf("with every node left out: %v", err)
	}
}

func TestASilentNodeIsAskedLessOften(t *testing.T) {
	d := newDesk(t, site())
	asked := 0
	for range 60 {
		d.fetched = nil
		d.tell(Tick{})
		for _, n := range d.fetched {
			if n == leasetest.Who("n2") {
				asked++
				d.tell(Failed{From: n, Why: "timeout"})
			} else {
				d.tell(Came{From: n})
			}
		}
		d.now = d.now.Add(time.Minute)
	}
	if asked < 5 || asked > 12 {
		t.Errorf("a node that never answers was asked %d times in an hour", asked)
	}
	if n := d.party("uni-b").Silent; n != asked {
		t.Errorf("uni-b was silent %d times, asked %d", n, asked)
	}
}

func TestTheExampleIsRead(t *testing.T) {
	text, err := os.ReadFile("../../examples/agent.toml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Read(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Nodes) != 1 || len(cfg.People) != 2 || len(cfg.Peers) != 1 || cfg.Peers[0].Share != 20 || cfg.People[0].Most[lease.EgressRate] != 20e6 ||
		cfg.Guests.Longest != 600 {
		t.Errorf("%+v", cfg)
	}
	for wrong, want := range map[string]string{
		"nodes = 3":                                              "line 1",
		"colour = 1":                                             `unknown key`,
		"nodes = [\"x\"]":                                        "nodes",
		"[[peer]]\nname = \"b\"":                                 "peer 1 (b)",
		"[[person]]\nkey = \"x\"":                                "no name",
		"[guests]\nmost = { cpu = \"many\" }":                    "guests",
		"[guests]\nlongest = \"soon\"":                           "no such time",
		"[[peer]]\nname = \"b\"\nshare = 101":                    "per cent",
		"[[peer]]\nname = \"b\"\ndegree = 99":                    "hundredths",
		"[guests]\nmost = { gold = 1 }":                          "unknown resource",
		"[[person]]\nname = \"a\"\nlongest = \"1h\"\nkey = \"\"": "person 1 (a)",
	} {
		if _, err := Read([]byte(wrong)); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", wrong, err, want)
		}
	}
}
