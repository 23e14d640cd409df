// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/policy"
)

// machine is what the tests' node has.
var machine = must("cpu=8000,memory=16GiB,disk=200GiB,pids=8192,io=100MiB,egress.rate=100mbit,ingress.rate=100mbit," +
	"egress.packets=100k,ingress.packets=100k,egress.daily=100GiB,flows.new=10k,flows.live=65536,ports.in=256,ports.out=16384")

func must(s string) lease.RSet {
	set, err := lease.ParseRSet(s)
	if err != nil {
		panic(err)
	}
	return set
}

func parse(t *testing.T, text string) policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text), machine)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pool(t *testing.T, p policy.Policy, name lease.Pool) policy.Pool {
	t.Helper()
	found, ok := p.Pool(name)
	if !ok {
		t.Fatalf("no pool %s in %+v", name, p.Pools)
	}
	return found
}

// TestWithoutAFile holds the defaults against those of the ledger.
func TestWithoutAFile(t *testing.T) {
	p := parse(t, "")
	half := machine
	for _, r := range []lease.Resource{lease.CPU, lease.Memory, lease.Disk} {
		half[r] /= 2
	}
	if p.Capacity != half {
		t.Errorf("capacity %s, want %s", p.Capacity, half)
	}
	inForce := func(pools []lease.PoolRule) string {
		return fmt.Sprint(lease.NewLedger(lease.LedgerConfig{Key: leasetest.Key("node"), Pools: pools}).Pools())
	}
	if got, want := inForce(p.Rules()), inForce(lease.DefaultPools(half)); got != want {
		t.Errorf("pools\n%s\nwant\n%s", got, want)
	}
	commons := pool(t, p, lease.PoolCommons)
	if want := must("cpu=500,memory=256MiB,disk=1GiB,pids=128,egress.rate=10mbit,ingress.rate=10mbit,egress.packets=2000," +
		"ingress.packets=2000,flows.live=1000,ports.in=2"); !want.Within(commons.Each) || commons.Longest != 24*3600 {
		t.Errorf("the commons gives %s for %d s", commons.Each, commons.Longest)
	}
	if p.Hold != 30 || p.Activation != 60 || len(p.Refused)+len(p.Gives) != 0 {
		t.Errorf("got %+v", p)
	}
}

func TestTheExampleMeansWhatItSays(t *testing.T) {
	text, err := os.ReadFile("../../examples/policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, string(text))
	if len(p.Notes) > 0 {
		t.Errorf("notes %v", p.Notes)
	}
	own, commons, calendar := pool(t, p, "own"), pool(t, p, lease.PoolCommons), pool(t, p, lease.PoolCalendar)
	if p.Capacity[lease.CPU] != 6000 || own.Capacity[lease.CPU] != 1500 || own.Mechanism != policy.Gang || len(own.Only) != 2 ||
		own.Only[0].Name != "ann" || own.Longest != 30*24*3600 {
		t.Errorf("capacity %s, own people %+v", p.Capacity, own)
	}
	if commons.Each[lease.PortsIn] != 1 || commons.Each[lease.Pids] != 128 || commons.Network[lease.CPU] != 1000 || commons.Longest != 12*3600 {
		t.Errorf("commons %+v", commons)
	}
	if calendar.Mechanism != policy.Calendar || !calendar.Exclusive || calendar.Ahead != 14*24*3600 || calendar.NoShow != 600 {
		t.Errorf("calendar %+v", calendar)
	}
	if len(p.Gives) != 1 || p.Gives[0].To.Name != "isp-b" || p.Gives[0].Degree != 150 || p.Gives[0].RSet != must("cpu=500,memory=1GiB,pids=512,egress.rate=50mbit") {
		t.Errorf("gives %+v", p.Gives)
	}
	if len(p.Refused) != 1 || p.Refused[0].Name != "rude" || p.Grace != 60 {
		t.Errorf("refused %v, grace %d", p.Refused, p.Grace)
	}
	var words strings.Builder
	for _, s := range p.Words() {
		fmt.Fprintf(&words, "%s: %s\n", s.About, s.Text)
	}
	for _, want := range []string{"pool own: cpu=1500", "for ann, ben only", "give isp-b: always has a ticket of cpu=500", "1.50 times", "refused: rude"} {
		if !strings.Contains(words.String(), want) {
			t.Errorf("no %q in\n%s", want, words.String())
		}
	}
}

// TestMistakes wants each one where it is, and told what would be right.
func TestMistakes(t *testing.T) {
	key := leasetest.Who("alice").String()
	for _, c := range []struct{ text, want string }{
		{"a = ", "line 1, column 4: expected value"},
		{"refuse = []\nrefuse = []", "line 2"},
		{"pol = 1", `line 1, column 1: unknown key "pol" in the policy: did you mean pool?`},
		{"[pool.commons]\nlongst = '1h'", `line 2, column 1: unknown key "longst" in [pool.commons]: did you mean longest?`},
		{"[pool.commons]\nlongest = '1 hour'", `line 2, column 11: longest = "1 hour": want a span from 1s to 400d, such as 90s, 45m, 36h or 30d`},
		{"[pool.commons]\nlongest = 3600", "line 2, column 11: longest is a number: want a text"},
		{"[pool.commons]\neach = { cpuu = 1 }", `line 2, column 10: unknown key "cpuu" in each of [pool.commons]: did you mean cpu?`},
		{"[pool.commons]\neach = { egress.rat = 1 }", `unknown key "egress.rat" in each of [pool.commons]: did you mean egress.rate?`},
		{"[pool.commons]\neach = { cpu = 0 }", `cpu = 0 as a limit: "any" is no limit`},
		{"[pool.commons]\neach = { 'egress.rate' = 1, egress.rate = 2 }", "egress.rate is there twice"},
		{"[pool.commons]\nmemory = '2Gib/s'", `line 2, column 10: memory = "2Gib/s": want an amount such as "2GiB"`},
		{"[pool.commons]\ncpu = 1.5", "line 2, column 7: cpu is a value"},
		{"[pool.commons]\ncpu = -1", "line 2, column 7: cpu = -1"},
		{"[pool.commons]\ncpu = '101%'", `cpu = "101%"`},
		{"[pool.commons]\npart = '1.234%'", `part = "1.234%": want a share`},
		{"[pool.lab]\npart = '10%'\nmechanism = 'lottery'", `line 3, column 13: mechanism "lottery": want sharp, gang, share, calendar or allocator`},
		{"[pool.lab]\npart = '10%'\nmechanism = 'sharp'", "line 3, column 13: pool lab is sharp: tickets are redeemed from pool sharp"},
		{"[pool.sharp]\nmechanism = 'gang'", "line 2, column 13: pool sharp is gang"},
		{"[pool.sharp]\nlongest = '1h'", "line 2, column 1: pool sharp is sharp and has no use for longest"},
		{"[pool.lots]\npart = '10%'\nmechanism = 'allocator'\nidle_only = true", "pool lots is allocator and has no use for idle_only: it is for mechanism gang"},
		{"[pool.lots]\npart = '10%'\nmechanism = 'allocator'\nborrow = true", "pool lots is allocator and has no use for borrow: it is for mechanism share"},
		{"[pool.commons]\nno_show = '10m'", "pool commons is gang and has no use for no_show: it is for mechanism calendar"},
		{"[pool.lab]", "line 1, column 7: pool lab has no size"},
		{"[pool.Lab]\npart = '1%'", `line 1, column 7: pool "Lab": want up to 63 of a-z`},
		{"[pool.own]\npart = '60%'\n[pool.sharp]\npart = '50%'", "line 4, column 1: pool sharp: cpu is more than the other pools leave of the capacity: at most 1600 are left of 4000"},
		{"[pool.own]\npart = '10%'\nonly = []", "line 3, column 1: pool own is kept for nobody"},
		{"[pool.own]\npart = '10%'\nonly = ['alise']\n[principals]\nalice = '" + key + "'", `line 3, column 9: no principal "alise": did you mean alice?`},
		{"[principals]\nalice = 'abc'", "line 2, column 9: alice is no key"},
		{"[principals]\nAlice = '" + key + "'", `line 2, column 1: name "Alice"`},
		{"refuse = 'x'", "line 1, column 10: refuse is a text: want a list"},
		{"refuse = ['al']\nallow = ['al']\n[principals]\nal = '" + key + "'", "line 1, column 11: al is refused and allowed"},
		{"refuse = ['al']\n[[give]]\nto = 'al'\ncpu = 1\n[principals]\nal = '" + key + "'", "al is refused in line 1"},
		{"[capacity]\ncpu = 9000", "line 2, column 1: cpu: more than the machine has: at most 8000"},
		{"[times]\nhold = '1s'", "line 2, column 8: hold"},
		{"[[give]]\ncpu = 1", "line 1, column 3: a give to nobody"},
		{"[[give]]\nto = '" + key + "'", "line 1, column 3: a give of nothing"},
		{"[[give]]\nto = '" + key + "'\ncpu = 3000\n[pool.commons]\npart = '50%'", "line 3, column 1: cpu: the gives come to 3000: pool sharp has 2000"},
		{"[[give]]\nto = '" + key + "'\ncpu = 5000", "line 3, column 1: cpu: the gives come to 5000: pool sharp has 4000"},
		{"[[give]]\nto = '" + key + "'\ncpu = 300\ndegree = 99", "line 4, column 10: degree = 99: want 100 to 10000"},
		{"[[give]]\nto = '" + key + "'\ncpu = 300\nfor = '5m'", "line 4, column 7: for = \"5m\": want a span from 10m to 400d"},
		{"give = 3", "line 1, column 8: give is a number: want a list"},
		{"give = [3]", "line 1, column 9: give holds a number: write [[give]]"},
		{"[[follow]]\nfile = 'x'", "line 1, column 3: follow trusts nobody"},
		{"[[follow]]\nby = '" + key + "'", "line 1, column 3: follow names no file"},
		{"pool = 3", "line 1, column 8: pool is a number: want a table"},
		{"# " + strings.Repeat("x", policy.MaxText), "bytes, limit"},
		{"[pool.commons]\n\"grüße\" = 1", "line 2, column 1"},
		{"[pool.'ü']\npart = '1%'", "line 1, column 7"},
		{"refuse = ['ü', 'x']", `line 1, column 16: no principal "x"`},
	} {
		_, err := policy.Parse([]byte(c.text), machine)
		if !errors.Is(err, policy.ErrPolicy) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n\t%v\n\twant %s", c.text, err, c.want)
		}
	}
}

func TestEveryMistakeIsTold(t *testing.T) {
	_, err := policy.Parse([]byte("a = 1\nb = 2\n[times]\nc = 3\n"), machine)
	var list policy.Errors
	if !errors.As(err, &list) || len(list) != 3 || list[0].Line != 1 || list[1].Line != 2 || list[2].Line != 4 {
		t.Errorf("got %v", err)
	}
	_, err = policy.Parse([]byte(strings.Repeat("x", 30)+" = 1\n"+manyKeys(100)), machine)
	if !errors.As(err, &list) || len(list) != policy.MaxErrors {
		t.Errorf("%d mistakes", len(list))
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key%d = 1\n", i)
	}
	return b.String()
}

func TestSizesOfPools(t *testing.T) {
	for _, c := range []struct {
		text                string
		own, commons, sharp uint64 // of 4000 thousandths
	}{
		{"", 0, 2000, 1000},
		{"[pool.own]\npart = '25%'", 1000, 1500, 750},
		{"[pool.own]\ncpu = 1001", 1001, 1500, 749},
		{"[pool.own]\npart = '100%'", 4000, 0, 0},
		{"[pool.commons]\npart = '25%'", 0, 1000, 1500},
		{"[pool.commons]\ncpu = 0", 0, 0, 2000},
		{"[pool.sharp]\npart = '20%'", 0, 2000, 800},
		{"[pool.sharp]\npart = '90%'", 0, 266, 3600},
		{"[pool.calendar]\npart = '0%'\n[pool.share]\npart = '0%'", 0, 2000, 2000},
		{"[pool.calendar]\npart = '0%'\n[pool.share]\npart = '0%'\n[pool.sharp]\npart = '0%'", 0, 2000, 0},
		{"[pool.sharp]\npart = '20%'\ncpu = 10", 0, 2000, 10},
		{"[pool.own]\npart = '33.33%'\n[pool.commons]\npart = '33.33%'\n[pool.sharp]\npart = '33.33%'", 1333, 1333, 1333},
		{"[capacity]\ncpu = '100%'\n[pool.own]\npart = '50%'", 4000, 2000, 1000},
	} {
		p := parse(t, c.text)
		own, _ := p.Pool("own")
		got := []uint64{own.Capacity[lease.CPU], pool(t, p, lease.PoolCommons).Capacity[lease.CPU], pool(t, p, lease.PoolSharp).Capacity[lease.CPU]}
		if want := []uint64{c.own, c.commons, c.sharp}; !slices.Equal(got, want) {
			t.Errorf("%q: own, commons and sharp have %d, want %d", c.text, got, want)
		}
	}
}

// within holds a policy's pools against its capacity.
func within(p policy.Policy) error {
	for r := range p.Capacity {
		sum := uint64(0)
		for _, pool := range p.Pools {
			if sum+pool.Capacity[r] < sum {
				return fmt.Errorf("%s overflows", lease.Resource(r))
			}
			sum += pool.Capacity[r]
		}
		if sum > p.Capacity[r] {
			return fmt.Errorf("%s: the pools have %d of %d", lease.Resource(r), sum, p.Capacity[r])
		}
	}
	var given lease.RSet
	for _, g := range p.Gives {
		given = given.Plus(g.RSet)
	}
	sharp, _ := p.Pool(lease.PoolSharp)
	if r, over := given.Exceeds(sharp.Capacity); over {
		return fmt.Errorf("%s: the gives come to %d of %d", r, given[r], sharp.Capacity[r])
	}
	return nil
}

// TestPoolsStayWithinTheCapacity draws policies and communities' policies, most
// of which want too much.
func TestPoolsStayWithinTheCapacity(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(community bool) string {
		var b strings.Builder
		if !community && rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "[capacity]\ncpu = '%d.%02d%%'\nmemory = '%d%%'\n", rng.IntN(100), rng.IntN(100), rng.IntN(101))
		}
		for _, name := range []string{"commons", "sharp", "own", "share", "calendar", "lab"} {
			if rng.IntN(3) == 0 {
				continue
			}
			fmt.Fprintf(&b, "[pool.%s]\n", name)
			size := rng.IntN(4)
			if size != 0 {
				fmt.Fprintf(&b, "part = '%d.%d%%'\n", rng.IntN(40), rng.IntN(10))
			}
			if size != 1 {
				fmt.Fprintf(&b, "cpu = %d\nports.in = '%d%%'\n", rng.IntN(3000), rng.IntN(40))
			}
		}
		if !community && rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "[[give]]\nto = '%s'\ncpu = %d\n", leasetest.Who("bob"), rng.IntN(2000))
		}
		return b.String()
	}
	accepted := 0
	for range 2000 {
		own, err := policy.Read("own", []byte(draw(false)))
		if err != nil {
			t.Fatal(err)
		}
		var followed []*policy.Source
		for range rng.IntN(3) {
			s, err := policy.ReadCommunity("community", []byte(draw(true)))
			if err != nil {
				t.Fatal(err)
			}
			followed = append(followed, s)
		}
		alone, aloneErr := policy.NewBase(machine).Compile(own)
		p, err := policy.NewBase(machine).Compile(own, followed...)
		if err != nil && aloneErr == nil {
			t.Fatalf("what is followed spoils the owner's own: %v in %+v", err, alone)
		}
		if err != nil {
			continue
		}
		accepted++
		if err := within(p); err != nil {
			t.Fatalf("%v in %+v", err, p)
		}
	}
	if accepted < 200 {
		t.Errorf("only %d of 2000 policies were accepted: the property was hardly tried", accepted)
	}
}

func TestTheOwnerWinsThenTheOrder(t *testing.T) {
	alice, bob := leasetest.Who("alice"), leasetest.Who("bob")
	own, err := policy.Read("own.toml", fmt.Appendf(nil, "allow = ['%s']\n[pool.commons]\nlongest = '2h'\n", alice))
	if err != nil {
		t.Fatal(err)
	}
	community := func(name, text string) *policy.Source {
		s, err := policy.ReadCommunity(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := community("first", fmt.Sprintf("refuse = ['%s', '%s']\n[pool.commons]\nlongest = '1h'\neach = { cpu = 100 }\n[pool.share]\npart = '50%%'\n", alice, bob))
	second := community("second", "[times]\nhold = '10s'\n[pool.commons]\nlongest = '3h'\neach = { cpu = 200, pids = 7 }\n[pool.sharp]\npart = '90%'\n")
	p, err := policy.NewBase(machine).Compile(own, first, second)
	if err != nil {
		t.Fatal(err)
	}
	commons, share, sharp := pool(t, p, lease.PoolCommons), pool(t, p, lease.PoolShare), pool(t, p, lease.PoolSharp)
	if commons.Longest != 7200 || commons.Each[lease.CPU] != 100 || commons.Each[lease.Pids] != 7 || commons.Each[lease.Memory] != 256<<20 || p.Hold != 10 {
		t.Errorf("commons %+v, hold %d", commons, p.Hold)
	}
	if share.Capacity[lease.CPU] != 2000 || sharp.Capacity[lease.CPU] != 2000 || commons.Capacity[lease.CPU] != 0 {
		t.Errorf("share %d, sharp %d, commons %d", share.Capacity[lease.CPU], sharp.Capacity[lease.CPU], commons.Capacity[lease.CPU])
	}
	if len(p.Refused) != 1 || p.Refused[0].Principal != bob {
		t.Errorf("refused %v", p.Refused)
	}
	origins := map[string]string{}
	for _, s := range p.Settings {
		origins[s.Name] = s.From.String()
	}
	for name, want := range map[string]string{"pool.commons.longest": "own.toml:3", "pool.commons.each.cpu": "first:4",
		"pool.commons.each.pids": "second:5", "pool.commons.each.memory": "default", "times.hold": "second:2", "times.grace": "default"} {
		if origins[name] != want {
			t.Errorf("%s comes from %q, want %q", name, origins[name], want)
		}
	}
	for _, text := range []string{"allow = []", "[capacity]\ncpu = 1", "[[give]]\nto = 'x'", "[[follow]]\nfile = 'x'"} {
		if _, err := policy.ReadCommunity("c", []byte(text)); !errors.Is(err, policy.ErrPolicy) || !strings.Contains(err.Error(), "leave it to the owners") {
			t.Errorf("a policy for others says %q: %v", text, err)
		}
	}
}

// FuzzParse wants an error with a place, or a policy that holds together.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("../../examples/policy.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte("[[give]]\nto='x'\ndegree=0x96\n[give.cpu]\n"))
	f.Add([]byte("[pool.'commons'.each]\negress.rate='1mbit'\n[pool.commons.each.flows]\nnew=1\n"))
	f.Add([]byte("pool.commons={each={cpu='any'}}\na=[[[[{b=1}]]]]\n"))
	f.Add([]byte("[principals]\r\na=1979-05-27\r\n\"\\u00e9\"=inf"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policy.Parse(text, machine)
		if err != nil {
			var list policy.Errors
			if !errors.As(err, &list) || len(list) == 0 || len(list) > policy.MaxErrors {
				t.Fatalf("%v", err)
			}
			lines := strings.Split(string(text), "\n")
			for _, e := range list {
				if e.Line > len(lines) || e.Line > 0 && (e.Column < 1 || e.Column > len(lines[e.Line-1])+1) {
					t.Fatalf("%v is at no place of %q", e, text)
				}
			}
			return
		}
		if err := within(p); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		for _, pool := range p.Pools {
			if pool.Mechanism == "" || pool.Mechanism == policy.Sharp != (pool.Name == lease.PoolSharp) {
				t.Fatalf("pool %+v", pool)
			}
		}
		p.Words()
	})
}
