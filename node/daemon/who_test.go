// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease/leasetest"
	"croft/node/api"
)

// stopped is a clock that stands still.
type stopped struct{ at time.Time }

func (c *stopped) Wall() time.Time { return c.at }
func (c *stopped) Boot() int64     { return c.at.UnixNano() }

// desk answers from n1's real store.
func desk(t *testing.T) (audits, *record, *stopped) {
	n1 := openStore(t, t.TempDir(), "n1")
	clock := &stopped{time.Unix(n1.clock, 0)}
	d := &Daemon{deps: Deps{Key: leasetest.Key("n1"), Clock: clock, Log: slog.New(slog.DiscardHandler), Own: func(a netip.Addr) bool { return a == sentBy.Addr() },
		Hosting: &Hosting{Guard: guardModel{}, Audit: n1, Log: n1}}, tenures: newTenures(n1, clock)}
	d.audits, d.time = newAudits(d), newLedgerTime(clock, clock.at)
	var err error
	if d.mail, err = openMailbox(t.TempDir()+"/messages", clock.at, d.deps.Log); err != nil {
		t.Fatal(err)
	}
	return d.audits, n1, clock
}

// What the node has committed to comes with proofs, and an offline verifier finds
// that they show the answer; what it has not says so.
func TestWhoProves(t *testing.T) {
	a, n1, clock := desk(t)
	n1.segment(3)
	n1.sent(7) // in the open segment
	clock.at = time.Unix(n1.clock+1, 0)
	ask := func(src netip.AddrPort, at int64) (api.WhoAnswer, audit.Judgement) {
		t.Helper()
		ans, err := a.WhoAll(t.Context(), api.WhoRequest{Src: src, Dst: sentTo, At: time.Unix(at, 0), Within: 2, Prove: true})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := audit.OpenAssertion(ans.Signed)
		if err != nil || !slices.Equal(signed.Slices, ans.Slices) || signed.Question().Src != src {
			t.Fatalf("signed %+v, %v", signed, err)
		}
		d := audit.Dossier{Answers: []audit.OpenedAssertion{signed}}
		for _, b := range ans.Proofs {
			p, err := audit.ReadProof(b)
			if err != nil {
				t.Fatal(err)
			}
			d.Proofs = append(d.Proofs, p)
		}
		again, err := audit.ParseDossier(d.Text())
		if err != nil {
			t.Fatal(err)
		}
		return ans, again.Judge()
	}

	ans, j := ask(sentBy, 1_000_000)
	if ans.Verdict != "exact" || !j.Holds() || len(j.Answers[0].Unshown) > 0 || ans.Pending != nil {
		t.Errorf("of a closed segment: %+v, unshown %v", ans, j.Answers[0].Unshown)
	}
	ans, j = ask(sentBy, n1.clock)
	if ans.Verdict != "exact" || len(ans.Proofs) != 0 || len(j.Answers[0].Unshown) != 1 || ans.Pending == nil ||
		!ans.Pending.After(clock.at) || ans.Pending.Sub(clock.at) > 6*time.Minute {
		t.Errorf("of the open segment: %+v", ans)
	}
	clock.at = time.Unix(n1.clock+301, 0)
	n1.clock += 301
	if err := n1.tick(); err != nil {
		t.Fatal(err)
	}
	ans, j = ask(sentBy, n1.clock-301)
	if ans.Pending != nil || len(ans.Proofs) != 1 || len(j.Answers[0].Unshown) > 0 {
		t.Errorf("when it is closed: %+v", ans)
	}

	// An address that is not the node's: the port, in nobody's block, says nothing.
	ans, j = ask(netip.MustParseAddrPort("192.0.2.1:61000"), 1_000_000)
	if ans.Verdict != "not determinable: site NAT" || !j.Holds() || len(j.Answers[0].Unshown) > 0 {
		t.Errorf("behind a translator: %+v", ans)
	}
	ans, _ = ask(netip.AddrPortFrom(sentBy.Addr(), 61000), 1_000_000)
	if ans.Verdict != "none" || len(ans.Proofs) > 0 {
		t.Errorf("from nobody's port: %+v", ans)
	}
}

func TestWhoRefusesNonsense(t *testing.T) {
	a, _, clock := desk(t)
	for name, q := range map[string]api.WhoRequest{
		"no source":      {Dst: sentTo, At: clock.at},
		"no destination": {Src: sentBy, At: clock.at},
		"never":          {Src: sentBy, Dst: sentTo, At: time.Unix(0, 0)},
	} {
		if _, err := a.Who(t.Context(), api.Caller{}, q); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A network that asks without pause is refused, and others are answered.
func TestAskersHaveAllowances(t *testing.T) {
	a, n1, clock := desk(t)
	n1.segment(1)
	ask := func(network string, prove bool) error {
		ctx := context.Context(t.Context())
		if network != "" {
			ctx = api.WithSource(ctx, netip.MustParsePrefix(network))
		}
		k := asker{network: api.Source(ctx), holder: true} // proofs are for those
		_, err := a.who(ctx, k, api.WhoRequest{Src: sentBy, Dst: sentTo, At: time.Unix(1_000_000, 0), Prove: prove})
		return err
	}
	until := func(network string, prove bool) (n int) {
		for ask(network, prove) == nil {
			if n++; n > 2*askBurst {
				t.Fatalf("%s was never refused", network)
			}
		}
		return n
	}
	if n := until("192.0.2.0/24", false); n != askBurst && n != askBurst-1 { // what is read counts a little
		t.Errorf("%d questions at once, want %d", n, askBurst)
	}
	if n := until("198.51.100.0/24", true); n > askBurst/2 {
		t.Errorf("%d questions with proofs at once: they cost more", n)
	}
	if err := ask("192.0.2.0/24", false); !errors.Is(err, api.ErrBusy) {
		t.Errorf("refused with %v", err)
	}
	if err := ask("", false); err != nil {
		t.Errorf("another was refused: %v", err)
	}
	clock.at = clock.at.Add(10 * time.Second)
	if n := until("192.0.2.0/24", false); n != 10*askRate && n != 10*askRate-1 {
		t.Errorf("ten seconds later %d questions, want %d", n, 10*askRate)
	}
	for i := range maxAskers + 10 {
		a.asked.take(clock.at, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24))
	}
	if len(a.asked.by) > maxAskers {
		t.Errorf("%d networks are told apart, limit %d", len(a.asked.by), maxAskers)
	}
	if err := ask("192.0.2.0/24", false); !errors.Is(err, api.ErrBusy) {
		t.Errorf("who owes was forgotten: %v", err)
	}
}

// What does not balance in the record is the owner's to see.
func TestAlarmsOfTheRecord(t *testing.T) {
	a, n1, _ := desk(t)
	n1.segment(1)
	if list, err := a.Alarms(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	n1.epoch++
	e := ebpf.Epoch{Series: 7, Number: n1.epoch, At: n1.clock * 1e9}
	e.Identity.Seen = 5
	if err := n1.Append(e); err != nil {
		t.Fatal(err)
	}
	list, err := a.Alarms(t.Context())
	if err != nil || len(list) != 1 || list[0].Kind != "identity" || list[0].At.Unix() != n1.clock || list[0].Text == "" {
		t.Errorf("%+v, %v", list, err)
	}
}
