// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/policy"
	"croft/node/api"
)

func (m *world) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.state, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func TestAReloadHoldsForWhatComes(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		alice := newPerson(t, "alice")
		alice.run(l, "one", 2*time.Hour)
		m.write("policy.toml", "[pool.commons]\nlongest = '1h'\n")
		if err := l.d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		var no *api.Refusal
		if _, err := alice.hold(l, alice.wish("two", m.Wall(), 2*time.Hour, "cpu=100", lease.ID{})); !errors.As(err, &no) || no.Code != "local:policy" {
			t.Errorf("a lease of 2 h where 1 h is the most: %v", err)
		}
		if len(alice.sees(l)) != 1 {
			t.Error("what runs does not run on")
		}

		m.write("policy.toml", "[pool.commons]\nlongst = '5h'\n")
		err := l.d.Reload(t.Context())
		if !errors.Is(err, api.ErrPolicy) || !strings.Contains(err.Error(), "line 2, column 1") || !strings.Contains(err.Error(), "did you mean longest?") {
			t.Errorf("a mistake: %v", err)
		}
		s, err := owner{l.d}.Status(t.Context())
		if err != nil || !strings.Contains(s.PolicyFault, "line 2") {
			t.Errorf("status says %q, %v", s.PolicyFault, err)
		}
		p, err := owner{l.d}.Policy(t.Context())
		if commons, _ := p.Pool(lease.PoolCommons); err != nil || commons.Longest != 3600 || p.Fault != s.PolicyFault {
			t.Errorf("in force is %+v, %v", p, err)
		}
		if checks := PolicyCheck(l.d.cfg, m.Wall()); len(checks) != 1 || checks[0].OK || !strings.Contains(checks[0].Need, "line 2") {
			t.Errorf("doctor says %+v", checks)
		}

		m.write("policy.toml", fmt.Sprintf("refuse = ['%s']\n", alice.who()))
		if p, err = (owner{l.d}).Reload(t.Context()); err != nil || p.Fault != "" || len(p.Refused) != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := alice.hold(l, alice.wish("three", m.Wall(), time.Hour, "cpu=100", lease.ID{})); !errors.As(err, &no) || !strings.Contains(no.Text, "refuses") {
			t.Errorf("who is refused: %v", err)
		}
		l.kill()
		l = m.boot() // the same rules from the start
		if _, err := alice.hold(l, alice.wish("four", m.Wall(), time.Hour, "cpu=100", lease.ID{})); !errors.As(err, &no) || !strings.Contains(no.Text, "refuses") {
			t.Errorf("who is refused, after a crash: %v", err)
		}
	})
}

func TestABadPolicyKeepsANodeFromStarting(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.toml")
	if _, err := newRules(Config{State: dir, Policy: path}, time.Now()); !errors.Is(err, ErrConfig) {
		t.Errorf("a named policy that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("x = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newRules(Config{State: dir}, time.Now()); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "policy.toml: line 1, column 1") {
		t.Errorf("a mistake: %v", err)
	}
}

// TestGivesAreKept lets a node live and die at odd instants for three terms: its
// peer has tickets all the time, one after the other, and none twice.
func TestGivesAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		bob := leasetest.Who("bob")
		give := func(cpu int) {
			m.write("policy.toml", fmt.Sprintf("[pool.sharp]\npart = '50%%'\n[[give]]\nto = '%s'\ncpu = %d\ndegree = 150\nfor = '20h'\n[[give]]\nto = '%s'\ncpu = 7\nfor = '20h'\n", bob, cpu, bob))
		}
		give(500)
		seen := map[lease.ID]api.HeldTicket{}
		began := m.Wall().Unix()
		for i := range 12 {
			l := m.boot()
			m.pass(5 * time.Hour)
			m.settle()
			mine, err := claims{l.d}.Tickets(t.Context(), api.Caller{Principal: bob})
			if err != nil {
				t.Fatal(err)
			}
			for _, ticket := range mine {
				if _, err := lease.VerifyChain(ticket.Chain, leasetest.Who("node")); err != nil {
					t.Fatal(err)
				}
				seen[ticket.Ticket] = ticket
			}
			if p, err := (owner{l.d}).Policy(t.Context()); err != nil || len(p.Given) != 2 || p.Given[0].Fault != "" || p.Given[0].Until <= m.Wall().Unix() {
				t.Fatalf("given %+v, %v", p.Given, err)
			}
			if i == 4 {
				give(600)
				if err := l.d.Reload(t.Context()); err != nil {
					t.Fatal(err)
				}
				m.settle()
			}
			l.kill()
		}
		for _, small := range []bool{true, false} {
			var terms []lease.Term
			var amounts []uint64
			for until := began; ; { // follow the chain of terms
				next := false
				for _, ticket := range seen {
					if (ticket.RSet[lease.CPU] == 7) == small && ticket.From == until {
						terms, amounts = append(terms, lease.Term{From: ticket.From, Until: ticket.Until}), append(amounts, ticket.RSet[lease.CPU])
						until, next = ticket.Until, true
						break
					}
				}
				if !next {
					break
				}
			}
			if len(terms) != 4 || terms[3].Until-began != 80*3600 {
				t.Errorf("tickets %v of %d", terms, amounts)
			}
			if !small && fmt.Sprint(amounts) != "[500 500 600 600]" {
				t.Errorf("a changed line came with %v", amounts)
			}
		}
		if len(seen) != 8 {
			t.Errorf("%d tickets in all, want 4 of each give", len(seen))
		}
	})
}

func TestAGiveWithoutRoomIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		if a, err := (owner{l.d}).Issue(t.Context(), api.IssueRequest{Holder: leasetest.Who("carol"), RSet: lease.RSet{lease.CPU: 1000},
			From: m.Wall().Unix(), Until: m.Wall().Unix() + 40*3600}); err != nil || a.Refusal != nil {
			t.Fatal(a.Refusal, err)
		}
		for _, c := range []struct {
			part  int
			fault string
		}{{50, "local:capacity"}, {100, ""}} {
			m.write("policy.toml", fmt.Sprintf("[pool.sharp]\npart = '%d%%'\n[[give]]\nto = '%s'\ncpu = 1500\nfor = '20h'\n", c.part, leasetest.Who("bob")))
			if err := l.d.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.settle()
			p, err := owner{l.d}.Policy(t.Context())
			if err != nil || len(p.Given) != 1 || p.Given[0].Line != 3 || !strings.Contains(p.Given[0].Fault, c.fault) ||
				(p.Given[0].Fault == "") != (p.Given[0].Until > m.Wall().Unix()) {
				t.Errorf("of %d %%: given %+v, %v", c.part, p.Given, err)
			}
		}
	})
}

// A give that grows waits for room, and its peer has what it had until then.
func TestAGiveThatGrowsIsNeverNone(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		give := func(cpu int) {
			m.write("policy.toml", fmt.Sprintf("[pool.sharp]\ncpu = 2000\n[[give]]\nto = '%s'\ncpu = %d\nfor = '20h'\n", leasetest.Who("bob"), cpu))
		}
		give(1500)
		l := m.boot()
		m.settle()
		give(2000)
		if err := l.d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			m.pass(24 * time.Hour)
			p, err := owner{l.d}.Policy(t.Context())
			if err != nil || p.Given[0].Fault != "" || p.Given[0].Until <= m.Wall().Unix() {
				t.Fatalf("given %+v, %v", p.Given, err)
			}
		}
		mine, err := claims{l.d}.Tickets(t.Context(), api.Caller{Principal: leasetest.Who("bob")})
		if err != nil || len(mine) == 0 || mine[len(mine)-1].RSet[lease.CPU] != 2000 {
			t.Errorf("after 40 days: %+v, %v", mine, err)
		}
	})
}

// A give of all that pool sharp has is renewed although more was set aside, in
// time, than its first ticket lasts.
func TestAGiveOfEverythingIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		m.write("policy.toml", fmt.Sprintf("[pool.sharp]\ncpu = 2000\n[[give]]\nto = '%s'\ncpu = '50%%'\nfor = '20d'\n", leasetest.Who("bob")))
		l := m.boot()
		for day := range 100 {
			m.pass(24 * time.Hour)
			p, err := owner{l.d}.Policy(t.Context())
			if err != nil || p.Given[0].Fault != "" || p.Given[0].Until <= m.Wall().Unix() {
				t.Fatalf("after %d days: given %+v, %v", day+1, p.Given, err)
			}
		}
	})
}

func TestAFollowedPolicyHoldsInItsTerm(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		now := m.Wall().Unix()
		seal := func(by string, from, until int64) {
			s, err := policy.Seal(policy.Document{Issuer: leasetest.Who(by), From: from, Until: until, Name: "net",
				Text: "[pool.commons]\nlongest = '1h'\n"}, leasetest.Key(by))
			if err != nil {
				t.Fatal(err)
			}
			m.write("net.policy", string(s.Bytes()))
		}
		m.write("policy.toml", fmt.Sprintf("[[follow]]\nfile = 'net.policy'\nby = '%s'\n", leasetest.Who("net")))
		seal("net", now+3600, now+7200)
		l := m.boot()
		longest := func() int64 {
			p, err := owner{l.d}.Policy(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			commons, _ := p.Pool(lease.PoolCommons)
			if held := len(p.Lapsed) == 0; held != (commons.Longest == 3600) {
				t.Errorf("lapsed %q, longest %d", p.Lapsed, commons.Longest)
			}
			return commons.Longest
		}
		for _, want := range []int64{24 * 3600, 3600, 24 * 3600} {
			if got := longest(); got != want {
				t.Errorf("longest %d, want %d", got, want)
			}
			m.pass(time.Hour + time.Second)
			m.settle()
		}
		for name, change := range map[string]func(){
			"signed by another": func() { seal("eve", now, now+1<<20) },
			"garbage":           func() { m.write("net.policy", "x") },
			"gone":              func() { os.Remove(filepath.Join(m.state, "net.policy")) },
		} {
			change()
			if err := l.d.Reload(t.Context()); !errors.Is(err, api.ErrPolicy) || !strings.Contains(err.Error(), "line 1, column 3: cannot follow net.policy") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestTheSourceOfAWishCounts(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		m.write("policy.toml", "[pool.commons]\nnetwork = { cpu = 150 }\n")
		l := m.boot()
		from := api.WithSource(t.Context(), netip.MustParsePrefix("192.0.2.0/24"))
		var codes []string
		for _, name := range []string{"alice", "bob"} {
			p := newPerson(t, name)
			a, err := claims{l.d}.Wish(from, api.Caller{Principal: p.who()}, [][]byte{p.wish("w", m.Wall(), time.Hour, "cpu=100", lease.ID{})})
			if err != nil {
				t.Fatal(err)
			}
			if a.Refusal != nil {
				codes = append(codes, a.Refusal.Code)
			}
		}
		if fmt.Sprint(codes) != "[local:policy]" {
			t.Errorf("refusals %v", codes)
		}
	})
}
