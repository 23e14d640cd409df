// SPDX-License-Identifier: Apache-2.0

package central

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"croft/dht/dhttest"
	"croft/lease"
	"croft/lease/offer"
	"croft/sim/profile"
)

// planetlab is a setup whose nodes say what the profile has.
func planetlab(t testing.TB, nodes, servers int) Setup {
	t.Helper()
	p, err := profile.New("planetlab", nodes, 7)
	if err != nil {
		t.Fatal(err)
	}
	s := Setup{Nodes: nodes, OneWay: p.OneWay, Cost: DefaultCost}
	for _, region := range []string{"na", "eu"}[:servers] { // good servers: where most nodes are
		for i := range nodes {
			if p.Place(i).Region == region {
				s.Servers = append(s.Servers, i)
				break
			}
		}
	}
	sequence := make([]uint64, nodes)
	s.Offer = func(node int, at time.Time) offer.Opened {
		sequence[node]++
		return dhttest.Offer(t, at, fmt.Sprint("n", node), sequence[node], func(o *offer.Offer) {
			place := p.Place(node)
			o.Attributes.Country, o.Attributes.AS = place.Country, place.AS
			o.Free[0].RSet = lease.RSet{lease.CPU: place.CPU / 2, lease.Memory: place.Memory / 2}
		})
	}
	return s
}

func queries(t testing.TB, texts ...string) (list []offer.Query) {
	t.Helper()
	for _, s := range texts {
		q, err := offer.ParseQuery(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, q)
	}
	return list
}

func mixed(t testing.TB) []offer.Query {
	return queries(t, "cpu>=2000", "cpu>=500 & country!=DE limit 5", "country=CH", "memory>=4GiB order by -memory", "cpu>=4000 spread by country")
}

func play(t testing.TB, s Setup, w Workload) *Report {
	t.Helper()
	r, err := Run(s, w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// SWORD's rates, with one server and with two.
func TestRates(t *testing.T) {
	for _, c := range []struct {
		nodes int
		dial  bool
		rates []float64
	}{{340, false, []float64{1, 10, 60, 200}}, {340, true, []float64{60}}, {1000, false, []float64{1, 30}}} {
		p50 := map[int]time.Duration{}
		for _, servers := range []int{1, 2} {
			last := 0.0
			for _, rate := range c.rates {
				r := play(t, planetlab(t, c.nodes, servers), Workload{Rate: rate, Queries: mixed(t), For: 3 * time.Minute, Dial: c.dial, Seed: 1})
				t.Logf("%4d nodes, %d servers, dial %-5v %3.0f/min: %s", c.nodes, servers, c.dial, rate, r)
				if r.Success() != 1 || len(r.Latency) != int(r.Asked) || r.Matched == 0 {
					t.Errorf("%d of %d answered, %d offers", r.Answered, r.Asked, r.Matched)
				}
				if math.Abs(float64(r.Asked)-3*rate) > 6*math.Sqrt(3*rate) {
					t.Errorf("%d queries in three minutes at %g a minute", r.Asked, rate)
				}
				if r.Load[0] <= last {
					t.Errorf("at %g a minute the load is %g, and was %g", rate, r.Load[0], last)
				}
				last = r.Load[0]
				p50[servers] = r.Latency.At(.5)
			}
		}
		if p50[2] >= p50[1] {
			t.Errorf("two servers answer in %s, one in %s", p50[2], p50[1])
		}
	}
}

// A server is a queue with one worker and a fixed cost: the mean wait is that of
// M/D/1, rho s / 2 (1 - rho).
func TestTheQueueIsMD1(t *testing.T) {
	for _, rho := range []float64{.3, .6, .8} {
		s := planetlab(t, 2, 1)
		s.Cost = Cost{Query: 500 * time.Millisecond}
		r := play(t, s, Workload{Rate: rho * 120, Queries: queries(t, "cpu>=1"), For: 20 * time.Hour, Every: 20 * time.Hour, Seed: 3})
		sum := 0.0
		for _, w := range r.Wait {
			sum += w.Seconds()
		}
		got, want := sum/float64(len(r.Wait)), rho*.5/(2*(1-rho))
		if math.Abs(got/want-1) > .08 || math.Abs(r.Load[0]/rho-1) > .03 {
			t.Errorf("load %.2f, which is %.3f: queries wait %.3f s, want %.3f", rho, r.Load[0], got, want)
		}
	}
}

// One server is a point of failure, of two the other helps: it costs the timeout.
func TestOutage(t *testing.T) {
	down := []Outage{{Server: 0, From: 2 * time.Minute, To: 7 * time.Minute}}
	w := Workload{Rate: 60, Queries: mixed(t), For: 10 * time.Minute, Down: down, Seed: 2}
	one := play(t, planetlab(t, 200, 1), w)
	if share := one.Success(); share < .4 || share > .6 || one.Failed != one.GivenUp || one.Answered+one.Failed != one.Asked {
		t.Errorf("one server, half of the time down: %s, %d failed, %d given up", one, one.Failed, one.GivenUp)
	}
	two := play(t, planetlab(t, 200, 2), w)
	if two.Success() != 1 || two.GivenUp == 0 || two.Latency.At(1) < Timeout || two.Latency.At(.5) > Timeout {
		t.Errorf("two servers, one of them down: %s, %d given up", two, two.GivenUp)
	}
	t.Logf("one: %s", one)
	t.Logf("two: %s", two)
}

// Offers run out: of nodes that say nothing again nothing is left.
func TestOffersRunOut(t *testing.T) {
	w := Workload{Rate: 30, Queries: queries(t, "cpu>=1"), For: 30 * time.Minute, Every: time.Hour, Seed: 2}
	r := play(t, planetlab(t, 50, 1), w)
	if oldest := r.Age.At(1); oldest > offer.MaxValid*time.Second || oldest < offer.MaxValid*time.Second/2 {
		t.Errorf("an offer %s old was given out", oldest)
	}
	w.Every = Republish
	if again := play(t, planetlab(t, 50, 1), w); again.Matched <= 2*r.Matched || again.Age.At(1) > Republish+time.Second {
		t.Errorf("said again: %d offers, the oldest %s; not: %d", again.Matched, again.Age.At(1), r.Matched)
	}
}

func TestTheSameAgain(t *testing.T) {
	w := Workload{Rate: 60, Queries: mixed(t), For: 5 * time.Minute, Seed: 9}
	a, b := play(t, planetlab(t, 100, 2), w), play(t, planetlab(t, 100, 2), w)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("the same arguments:\n%s\n%s", a, b)
	}
	w.Seed++
	if c := play(t, planetlab(t, 100, 2), w); reflect.DeepEqual(a, c) {
		t.Error("another seed makes the same")
	}
}

func TestNonsense(t *testing.T) {
	good := Workload{Rate: 1, Queries: mixed(t), For: time.Minute}
	for name, change := range map[string]func(*Setup, *Workload){
		"nobody":            func(s *Setup, _ *Workload) { s.Nodes = 0 },
		"no server":         func(s *Setup, _ *Workload) { s.Servers = nil },
		"a server nowhere":  func(s *Setup, _ *Workload) { s.Servers = []int{3} },
		"no wires":          func(s *Setup, _ *Workload) { s.OneWay = nil },
		"no queries":        func(_ *Setup, w *Workload) { w.Queries = nil },
		"no rate":           func(_ *Setup, w *Workload) { w.Rate = -1 },
		"no time":           func(_ *Setup, w *Workload) { w.For = 0 },
		"no such outage":    func(_ *Setup, w *Workload) { w.Down = []Outage{{Server: 1}} },
		"more than is sane": func(_ *Setup, w *Workload) { w.Rate = 1e9 },
	} {
		s, w := planetlab(t, 3, 1), good
		change(&s, &w)
		if _, err := Run(s, w); !errors.Is(err, ErrSetup) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What DefaultCost says of matching is held against the machine by looking.
func BenchmarkMatch(b *testing.B) {
	s := planetlab(b, 1000, 1)
	server := &server{kept: map[lease.Principal]entry{}}
	for i := range s.Nodes {
		server.take(0, time.Hour, s.Offer(i, epoch))
	}
	all := mixed(b)
	for i := 0; b.Loop(); i++ {
		server.match(0, epoch, all[i%len(all)])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/offer")
}
