// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/role"
)

// lots is a policy with a pool of 400 that the role allocator allots.
const lots = "[pool.lots]\nmechanism = 'allocator'\npart = '25%'\ncpu = 400\nlongest = '1h'\n"

// bids asks for a hold out of it.
func (p *person) bids(l *life, request, bid string, cpu int) (api.Answer, error) {
	p.t.Helper()
	return l.d.Node().Claims.Wish(p.t.Context(), p.caller(), [][]byte{p.bidding(request, bid, cpu, time.Now())})
}

func (p *person) bidding(request, bid string, cpu int, at time.Time) []byte {
	p.t.Helper()
	ask := &lease.Ask{K: lease.KindAsk, Issuer: p.who(), Node: leasetest.Who("node"), RSet: lease.RSet{lease.CPU: uint64(cpu)}, From: at.Unix(),
		Until: at.Add(time.Minute).Unix(), Slice: p.name, Pool: "lots", Bid: bid}
	copy(ask.Request[:], request)
	signed, err := lease.Seal(ask, p.key())
	if err != nil {
		p.t.Fatal(err)
	}
	return signed.Bytes()
}

// allotting runs f on a node with that pool, where alice's slice fills the role.
func allotting(t *testing.T, answer func(q decideAsk) string, f func(t *testing.T, h *hired)) {
	t.Helper()
	inOffice(t, func(t *testing.T, h *hired) {
		h.m.write("policy.toml", lots)
		if err := h.d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		serveAs(t, h.m.doors.dial(t, h.sliver), "allocator/1", func(raw role.Question) []string {
			var q decideAsk
			if err := exact(raw.Ask, &q); err != nil {
				t.Errorf("%s: %v", raw.Ask, err)
			}
			said := answer(q)
			if said == "" {
				return nil
			}
			if strings.HasPrefix(said, "{") {
				return []string{`{"id":%d,"done":` + said + `}`}
			}
			return []string{fmt.Sprintf(`{"id":%%d,"done":{"ask":"%s",%s}}`, q.Ask, said)}
		})
		h.decideOn("allocator", "try", h.slice)
		h.decideOn("allocator", "promote", h.slice)
		f(t, h)
	})
}

func refusal(a api.Answer) string {
	if a.Refusal == nil {
		return ""
	}
	return a.Refusal.Code + ": " + a.Refusal.Text
}

// Who fills the role decides: granted, refused with its word, signed under its name.
func TestATenantAllotsAPool(t *testing.T) {
	var seen []decideAsk
	allotting(t, func(q decideAsk) string {
		seen = append(seen, q)
		if q.Bid == "12" {
			return `"grant":true,"says":"at 7"`
		}
		return `"says":"outbid: the price was 7"`
	}, func(t *testing.T, h *hired) {
		bob, carol := newPerson(t, "bob"), newPerson(t, "carol")
		a, err := bob.bids(h.life, "one", "12", 300)
		if err != nil || a.Refusal != nil || len(a.Statements) != 1 {
			t.Fatalf("%+v, %v", a, err)
		}
		o, err := lease.Open(a.Statements[0])
		if err != nil {
			t.Fatal(err)
		}
		books, err := look(t.Context(), h.d, func(l *lease.Ledger) lease.Entry { e, _ := l.Lease(o.ID); return e })
		if short := role.Tenant(h.slice).Short(); err != nil || books.Said != short+": at 7" {
			t.Errorf("the books say %q, %v", books.Said, err)
		}
		no, err := carol.bids(h.life, "one", "5", 100)
		if want := "local:policy: " + role.Tenant(h.slice).Short() + ": outbid: the price was 7"; err != nil || refusal(no) != want || len(no.Statements) != 1 {
			t.Errorf("%q, %v; want %q, signed", refusal(no), err, want)
		}
		if len(seen) != 2 {
			t.Fatalf("asked %d times", len(seen))
		}
		q := seen[1]
		if q.By != carol.who() || q.Pool != "lots" || q.Bid != "5" || q.RSet != (lease.RSet{lease.CPU: 100}) || q.Load[lease.CPU] != 300 || q.Free[lease.CPU] != 100 ||
			q.Capacity[lease.CPU] != 400 || q.Left != decideLimit.Milliseconds() || q.Renews {
			t.Errorf("asked %+v", q)
		}
		// The other mechanisms go on, and ask nobody.
		bob.run(h.life, "commons", time.Minute)
		// Of what there is no room for nobody is asked.
		if no, err = carol.bids(h.life, "two", "12", 101); err != nil || !strings.HasPrefix(refusal(no), "local:capacity") {
			t.Errorf("%q, %v", refusal(no), err)
		}
		if len(seen) != 2 {
			t.Errorf("asked %d times", len(seen))
		}
	})
}

// A tenant has askers wait until its round is over; nothing is promised meanwhile, and
// who would have had the room may have lost it by then.
func TestATenantHasAskersWait(t *testing.T) {
	var began time.Time
	allotting(t, func(q decideAsk) string {
		if began.IsZero() {
			began = time.Now()
		}
		if wait := 10*time.Second - time.Since(began); wait > 0 {
			return fmt.Sprintf(`"wait_ms":%d`, wait.Milliseconds())
		}
		return `"grant":true`
	}, func(t *testing.T, h *hired) {
		bob := newPerson(t, "bob")
		from := time.Now()
		got := make(chan string, 2)
		for _, request := range []string{"one", "two"} {
			go func() {
				a, err := bob.bids(h.life, request, "12", 300)
				got <- fmt.Sprint(refusal(a), err)
			}()
		}
		h.m.pass(9 * time.Second)
		if n, err := look(t.Context(), h.d, func(l *lease.Ledger) lease.RSet { return l.Free("lots", lease.Term{From: l.Now(), Until: l.Now() + 1}) }); err != nil || n[lease.CPU] != 400 {
			t.Errorf("free is %s before anything is decided, %v", n, err)
		}
		a, b := <-got, <-got
		if time.Since(from) < 10*time.Second {
			t.Errorf("decided after %s", time.Since(from))
		}
		if b == "<nil>" {
			a, b = b, a
		}
		if a != "<nil>" || !strings.HasPrefix(b, "local:capacity") {
			t.Errorf("%s; %s", a, b)
		}
		if n := len(h.d.deciding.of); n != 0 || h.d.deciding.all != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// Whatever a tenant does, the built-in decides in its place within the same request,
// and the pool is not given twice.
func TestAHostileAllocator(t *testing.T) {
	for does, says := range map[string]string{
		"is silent":           "",
		"decides another":     `{"ask":"po6htytol4vohhhfvgxhxyelj7273e47mrc6havezyndwt4u4mia","grant":true}`,
		"waits for ever":      `"wait_ms":3600000`,
		"gives more":          `"grant":true,"rset":{"cpu":4000}`,
		"says nothing":        `"grant":false`,
		"writes on a screen":  `"says":"no\u001b[2J"`,
		"says a whole book":   `"says":"` + strings.Repeat("x", maxSays+1) + `"`,
		"grants what is full": `"grant":true`,
	} {
		t.Run(does, func(t *testing.T) {
			allotting(t, func(decideAsk) string { return says }, func(t *testing.T, h *hired) {
				if builtins["allocator"] == nil {
					t.Skip("built without a fallback")
				}
				given := 0
				for i := range 4 {
					a, err := newPerson(t, "bob").bids(h.life, fmt.Sprint(i), "", 150)
					if err != nil || a.Refusal != nil && a.Refusal.Code != "local:capacity" {
						t.Fatalf("%q, %v", refusal(a), err)
					}
					if a.Refusal == nil {
						given++
					}
				}
				if given != 2 {
					t.Errorf("%d of 150 were given out of 400", given)
				}
			})
		})
	}
}

// It puts off again and again: in the end it must decide, or another does.
func TestATenantCannotPutOffForEver(t *testing.T) {
	asked := 0
	allotting(t, func(q decideAsk) string {
		if asked++; q.Left > 0 {
			return fmt.Sprintf(`"wait_ms":%d`, min(q.Left, 6000))
		}
		return `"wait_ms":1`
	}, func(t *testing.T, h *hired) {
		if builtins["allocator"] == nil {
			t.Skip("built without a fallback")
		}
		from := time.Now()
		a, err := newPerson(t, "bob").bids(h.life, "one", "12", 100)
		if took := time.Since(from); err != nil || a.Refusal != nil || took < decideLimit || took > decideLimit+5*time.Second || asked != 5 {
			t.Errorf("%q, %v after %s, asked %d times", refusal(a), err, took, asked)
		}
	})
}

// A slice that fills the role does not decide about itself.
func TestATenantDoesNotDecideForItself(t *testing.T) {
	asked := 0
	allotting(t, func(decideAsk) string { asked++; return `"says":"not for others"` }, func(t *testing.T, h *hired) {
		alice := newPerson(t, "alice")
		wish := &lease.Ask{K: lease.KindAsk, Issuer: alice.who(), Node: leasetest.Who("node"), RSet: lease.RSet{lease.CPU: 100}, From: time.Now().Unix(),
			Until: time.Now().Add(time.Minute).Unix(), Slice: "ron", Pool: "lots", Request: lease.Request{9}}
		signed, err := lease.Seal(wish, alice.key())
		if err != nil {
			t.Fatal(err)
		}
		a, err := h.d.Node().Claims.Wish(t.Context(), alice.caller(), [][]byte{signed.Bytes()})
		if err != nil || (a.Refusal == nil) != (builtins["allocator"] != nil) || asked != 0 {
			t.Errorf("%q, %v, asked %d times", refusal(a), err, asked)
		}
	})
}

// Where nobody fills the role there is a refusal that nobody signed, and the same ask
// is granted when somebody does.
func TestNobodyAllots(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		h.m.write("policy.toml", lots)
		if err := h.d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		bob := newPerson(t, "bob")
		a, err := bob.bids(h.life, "one", "12", 100)
		if builtins["allocator"] != nil {
			if err != nil || a.Refusal != nil {
				t.Errorf("%q, %v", refusal(a), err)
			}
			return
		}
		if err != nil || !strings.HasPrefix(refusal(a), "local:policy: pool lots: nobody has decided") || len(a.Statements) != 0 {
			t.Errorf("%q, %v", refusal(a), err)
		}
		serveAs(t, h.m.doors.dial(t, h.sliver), "allocator/1", func(q role.Question) []string {
			var ask decideAsk
			_ = json.Unmarshal(q.Ask, &ask)
			return []string{fmt.Sprintf(`{"id":%%d,"done":{"ask":"%s","grant":true}}`, ask.Ask)}
		})
		h.decideOn("allocator", "try", h.slice)
		h.decideOn("allocator", "promote", h.slice)
		if a, err = bob.bids(h.life, "one", "12", 100); err != nil || a.Refusal != nil {
			t.Errorf("%q, %v", refusal(a), err)
		}
	})
}

// Who waits is bounded, one principal's and all; who leaves makes room.
func TestWhoWaitsIsBounded(t *testing.T) {
	d := newDeciding()
	one := newPerson(t, "bob").who()
	var leave []func()
	for range maxUndecidedOf {
		out, ok := d.enter(one)
		if !ok {
			t.Fatal("no room")
		}
		leave = append(leave, out)
	}
	if _, ok := d.enter(one); ok {
		t.Error("more than one principal may have")
	}
	for i := range maxUndecided - maxUndecidedOf {
		if _, ok := d.enter(lease.Principal{byte(i), 1}); !ok {
			t.Fatalf("no room for the %d-th", i)
		}
	}
	if _, ok := d.enter(lease.Principal{2, 2}); ok {
		t.Error("more than all may have")
	}
	if n := d.turnedAway(); n != 2 {
		t.Errorf("%d were turned away", n)
	}
	leave[0]()
	if _, ok := d.enter(one); !ok {
		t.Error("who left has made no room")
	}
}

// A node that stops lets nobody wait, and a caller who leaves is waited for no more.
func TestWaitingEndsWithTheNode(t *testing.T) {
	allotting(t, func(decideAsk) string { return `"wait_ms":15000` }, func(t *testing.T, h *hired) {
		got := make(chan error, 1)
		go func() {
			_, err := newPerson(t, "bob").bids(h.life, "one", "12", 100)
			got <- err
		}()
		h.m.pass(time.Second)
		h.stop()
		if err := <-got; !errors.Is(err, api.ErrStopping) {
			t.Errorf("%v", err)
		}
	})
}
