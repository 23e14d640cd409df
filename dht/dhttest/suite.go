// SPDX-License-Identifier: Apache-2.0

package dhttest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Net is an index over several nodes, numbered from 0.
type Net interface {
	// Register and Withdraw act for a node; they wait until holders answered.
	Register(node int, o offer.Opened) error
	Withdraw(node int, closed offer.Opened) error
	// Find returns the candidates that match, from the index alone.
	Find(node int, query string) (offer.Result, error)
	// Kill makes a node answer nothing any more.
	Kill(node int)
	Now() time.Time
	Advance(time.Duration)
}

// Key is a principal made from a name, for tests only.
type Key ed25519.PrivateKey

// KeyOf returns the same key for the same name, always.
func KeyOf(name string) Key {
	seed := sha256.Sum256([]byte("dhttest " + name))
	return Key(ed25519.NewKeyFromSeed(seed[:]))
}

func (k Key) Principal() lease.Principal {
	return lease.Principal(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
}
func (k Key) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

// Offer seals an offer of a named node; change adjusts it before.
func Offer(t testing.TB, now time.Time, name string, sequence uint64, change func(*offer.Offer)) offer.Opened {
	t.Helper()
	key := KeyOf(name)
	o := &offer.Offer{
		Node: key.Principal(), Sequence: sequence, Made: now.Unix(), Until: now.Unix() + offer.MaxValid, Name: name,
		Free: []offer.Free{{Pool: lease.PoolCommons, RSet: lease.RSet{lease.CPU: 2000, lease.Memory: 4 << 30}}},
	}
	if change != nil {
		change(o)
	}
	sealed, err := offer.Seal(o, key)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// Run checks a net of eight nodes, freshly made for each property.
func Run(t *testing.T, open func(t *testing.T, nodes int) Net) {
	const nodes = 8
	for _, c := range []struct {
		name  string
		check func(t *testing.T, n Net)
	}{
		{"registered offers are found from everywhere", foundFromEverywhere},
		{"constraints are met and explained", constraintsAreMet},
		{"a newer offer takes the older one's place", newerReplaces},
		{"an offer that changed its class is found there only", movesBetweenClasses},
		{"a withdrawn offer is gone and stays gone", withdrawn},
		{"an offer runs out by itself", runsOut},
		{"a dead holder is not missed", deadHolder},
		{"a stale withdrawal does nothing", staleWithdrawal},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, open(t, nodes)) })
	}
}

func register(t *testing.T, n Net, node int, o offer.Opened) {
	t.Helper()
	if err := n.Register(node, o); err != nil {
		t.Fatal(err)
	}
}

func withdraw(t *testing.T, n Net, node int, o offer.Opened) {
	t.Helper()
	if err := n.Withdraw(node, o); err != nil {
		t.Fatal(err)
	}
}

// expect compares "name@sequence" of what matches.
func expect(t *testing.T, n Net, node int, query string, want ...string) offer.Result {
	t.Helper()
	res, err := n.Find(node, query)
	if err != nil {
		t.Fatalf("node %d, %q: %v", node, query, err)
	}
	var got []string
	for _, f := range res.Offers {
		got = append(got, fmt.Sprintf("%s@%d", f.Offer.Name, f.Offer.Sequence))
		if f.Source != offer.DHT {
			t.Errorf("%s says it came from %q", f.Offer.Name, f.Source)
		}
		if _, err := offer.Open(f.Bytes, nil); err != nil {
			t.Errorf("%s does not carry its proof: %v", f.Offer.Name, err)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("node %d, %q: found %s, want %s", node, query, strings.Join(got, " "), strings.Join(want, " "))
	}
	return res
}

func country(c string) func(*offer.Offer) {
	return func(o *offer.Offer) { o.Attributes.Country = c }
}

func cpu(v uint64) func(*offer.Offer) {
	return func(o *offer.Offer) { o.Free[0].RSet[lease.CPU] = v }
}

func closed(o *offer.Offer) { o.Closed = true }

func foundFromEverywhere(t *testing.T, n Net) {
	for i := range 4 {
		register(t, n, i, Offer(t, n.Now(), fmt.Sprint("n", i), 1, nil))
	}
	for i := range 8 {
		expect(t, n, i, "", "n0@1", "n1@1", "n2@1", "n3@1")
	}
}

func constraintsAreMet(t *testing.T, n Net) {
	register(t, n, 0, Offer(t, n.Now(), "swiss", 1, country("CH")))
	register(t, n, 1, Offer(t, n.Now(), "german", 1, country("DE")))
	register(t, n, 2, Offer(t, n.Now(), "small", 1, cpu(300)))
	register(t, n, 3, Offer(t, n.Now(), "labelled", 1, func(o *offer.Offer) {
		o.Attributes.Labels = map[string]string{"ixp": "yes"}
		o.Attributes.AS = 559
	}))
	expect(t, n, 4, "country=CH", "swiss@1")
	expect(t, n, 4, "country=ch & cpu>=1000", "swiss@1")
	expect(t, n, 5, "country!=DE", "labelled@1", "small@1", "swiss@1")
	expect(t, n, 5, "cpu>=1000", "german@1", "labelled@1", "swiss@1")
	expect(t, n, 0, "cpu>=1000 & cpu<4000", "german@1", "labelled@1", "swiss@1") // two ranges that share classes
	expect(t, n, 6, "cpu<1000", "small@1")
	expect(t, n, 6, "label.ixp=yes & as=559", "labelled@1")
	expect(t, n, 7, "memory>=1GiB & country=DE limit 1", "german@1")
	// Nothing matches: the answer still knows everybody, and says why not.
	res := expect(t, n, 7, "cpu>=99000 & country!=DE")
	if res.Known != 4 || res.Removed[0].Count != 4 || res.Nearest != "2 more nodes if cpu>=2000" {
		t.Errorf("nothing matched, and the reasons are %+v", res)
	}
}

func newerReplaces(t *testing.T, n Net) {
	old := Offer(t, n.Now(), "a", 1, country("CH"))
	register(t, n, 0, old)
	register(t, n, 0, Offer(t, n.Now(), "a", 2, country("CH")))
	expect(t, n, 3, "country=CH", "a@2")
	_ = n.Register(1, old) // a replay by somebody else may be refused or taken; it changes nothing
	expect(t, n, 3, "country=CH", "a@2")
}

func movesBetweenClasses(t *testing.T, n Net) {
	register(t, n, 0, Offer(t, n.Now(), "a", 1, cpu(8000)))
	register(t, n, 0, Offer(t, n.Now(), "a", 2, cpu(500)))
	expect(t, n, 3, "cpu>=4000")
	expect(t, n, 3, "cpu<1000", "a@2")
}

func withdrawn(t *testing.T, n Net) {
	first := Offer(t, n.Now(), "a", 1, country("CH"))
	register(t, n, 0, first)
	register(t, n, 1, Offer(t, n.Now(), "b", 1, country("CH")))
	withdraw(t, n, 0, Offer(t, n.Now(), "a", 2, closed))
	expect(t, n, 5, "country=CH", "b@1")
	_ = n.Register(1, first) // a replay
	expect(t, n, 5, "country=CH", "b@1")
	register(t, n, 0, Offer(t, n.Now(), "a", 3, country("CH"))) // it comes back
	expect(t, n, 5, "country=CH", "a@3", "b@1")
}

func runsOut(t *testing.T, n Net) {
	register(t, n, 0, Offer(t, n.Now(), "a", 1, nil))
	n.Advance((offer.MaxValid - 1) * time.Second)
	expect(t, n, 5, "", "a@1")
	register(t, n, 1, Offer(t, n.Now(), "b", 1, nil))
	n.Advance(time.Second)
	expect(t, n, 5, "", "b@1")
}

func deadHolder(t *testing.T, n Net) {
	register(t, n, 0, Offer(t, n.Now(), "a", 1, country("CH")))
	n.Kill(7)
	expect(t, n, 3, "country=CH", "a@1")
	register(t, n, 1, Offer(t, n.Now(), "b", 1, country("CH")))
	expect(t, n, 3, "country=CH", "a@1", "b@1")
	withdraw(t, n, 0, Offer(t, n.Now(), "a", 2, closed))
	expect(t, n, 4, "country=CH", "b@1")
}

func staleWithdrawal(t *testing.T, n Net) {
	register(t, n, 0, Offer(t, n.Now(), "a", 5, nil))
	_ = n.Withdraw(0, Offer(t, n.Now(), "a", 4, closed))
	expect(t, n, 3, "", "a@5")
}
