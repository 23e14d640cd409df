// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// world is a ledger with a clock, its journal, and people who sign.
type world struct {
	t       testing.TB
	cfg     LedgerConfig
	l       *Ledger
	now     int64
	journal []Fact
	out     []Effect
	request uint64
}

const epoch = 1_800_000_000

var nodeKey = keyOf("node")

func newWorld(t testing.TB, pools ...PoolRule) *world {
	if len(pools) == 0 {
		pools = []PoolRule{
			{Pool: PoolCommons, Capacity: RSet{CPU: 1000, PortsIn: 8}, PerPrincipal: RSet{CPU: 600}, MaxTerm: 86400},
			{Pool: PoolSharp, Capacity: RSet{CPU: 1000, PortsIn: 8}, Mechanism: MechanismSharp},
		}
	}
	w := &world{t: t, now: epoch, cfg: LedgerConfig{Key: nodeKey, Pools: pools, Grace: 20,
		Ports: PortRange{First: 5000, Last: 5009, Reserved: []uint16{5001}}}}
	w.l = NewLedger(w.cfg)
	return w
}

// step gives one input and journals the facts that come of it.
func (w *world) step(in Input) []Effect {
	w.out = w.l.Step(time.Unix(w.now, 0), in)
	for _, e := range w.out {
		if f, ok := e.(Fact); ok {
			w.journal = append(w.journal, f)
		}
	}
	return w.out
}

func (w *world) after(seconds int64) []Effect {
	w.now += seconds
	return w.step(Tick{})
}

// crash rebuilds the ledger from its journal.
func (w *world) crash() {
	w.t.Helper()
	w.l = rebuilt(w.t, w.cfg, w.journal)
}

func rebuilt(t testing.TB, cfg LedgerConfig, journal []Fact) *Ledger {
	t.Helper()
	cfg.Key = mute{cfg.Key.Principal()}
	l := NewLedger(cfg)
	for i, f := range journal {
		g, err := ParseFact(f.Record())
		if err != nil {
			t.Fatalf("fact %d: %v", i, err)
		}
		if err := l.Restore(g); err != nil {
			t.Fatalf("fact %d: %v", i, err)
		}
	}
	l.cfg.Key = nodeKey
	return l
}

// mute is a signer that must not be asked.
type mute struct{ p Principal }

func (m mute) Principal() Principal { return m.p }
func (m mute) Sign([]byte) []byte   { panic("rebuilding called the signer") }

func (w *world) seal(st Statement, key testKey) []byte {
	w.t.Helper()
	s, err := Seal(st, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Bytes()
}

func (w *world) fresh() (r Request) {
	w.request++
	binary.BigEndian.PutUint64(r[:], w.request)
	return r
}

// ask makes an ask of cpu for seconds from now on; edit changes it before it is signed.
func (w *world) ask(who string, cpu uint64, seconds int64, edit ...func(*Ask)) Wish {
	w.t.Helper()
	key := keyOf(who)
	a := &Ask{K: KindAsk, Issuer: key.Principal(), Node: nodeKey.Principal(), RSet: RSet{CPU: cpu}, From: w.now, Until: w.now + seconds,
		Slice: "web", Request: w.fresh(), Pool: PoolCommons}
	for _, e := range edit {
		e(a)
	}
	return Wish{Ref: 1, Caller: key.Principal(), Chain: [][]byte{w.seal(a, key)}}
}

// ticket has the node give a ticket, and returns its chain.
func (w *world) ticket(who string, cpu uint64, seconds int64) [][]byte {
	w.t.Helper()
	w.step(Issue{Ref: 1, Holder: keyOf(who).Principal(), RSet: RSet{CPU: cpu, PortsIn: 2}, Term: Term{w.now, w.now + seconds}, Degree: 100, Request: w.fresh()})
	a := w.answer()
	if a.Refusal != nil {
		w.t.Fatalf("ticket: %v", a.Refusal)
	}
	return a.Statements
}

func (w *world) redeem(who string, chain [][]byte, slot uint8, cpu uint64, seconds int64, edit ...func(*Redeem)) Wish {
	w.t.Helper()
	key := keyOf(who)
	id, _, err := storedAs[*Ticket](chain[len(chain)-1])
	if err != nil {
		w.t.Fatal(err)
	}
	r := &Redeem{K: KindRedeem, Issuer: key.Principal(), Node: nodeKey.Principal(), Parent: id, Slot: slot, RSet: RSet{CPU: cpu},
		From: w.now, Until: w.now + seconds, Slice: "web", Request: w.fresh()}
	for _, e := range edit {
		e(r)
	}
	return Wish{Ref: 1, Caller: key.Principal(), Chain: append(chain[:len(chain):len(chain)], w.seal(r, key))}
}

func (w *world) close(who string, claim ID, at int64) End {
	key := keyOf(who)
	return End{Ref: 1, Caller: key.Principal(), Close: w.seal(&Close{K: KindClose, Issuer: key.Principal(), Node: nodeKey.Principal(), Claim: claim, At: at}, key)}
}

func (w *world) answer() Answer {
	w.t.Helper()
	for _, e := range w.out {
		if a, ok := e.(Answer); ok {
			return a
		}
	}
	w.t.Fatalf("no answer in %v", w.out)
	return Answer{}
}

// granted gives an input that must succeed and returns the id of what was signed.
func (w *world) granted(in Input) ID {
	w.t.Helper()
	w.step(in)
	a := w.answer()
	if a.Refusal != nil {
		w.t.Fatalf("%s: %v", in, a.Refusal)
	}
	o, err := Open(a.Statements[len(a.Statements)-1])
	if err != nil {
		w.t.Fatal(err)
	}
	return o.ID
}

// refused gives an input that must fail with that code.
func (w *world) refused(in Input, code string) Answer {
	w.t.Helper()
	w.step(in)
	a := w.answer()
	if a.Refusal == nil || a.Refusal.Code() != code {
		w.t.Fatalf("%s: got %v, want %s", in, a, code)
	}
	return a
}

// lease takes a wish to a lease.
func (w *world) lease(in Wish) ID {
	w.t.Helper()
	return w.granted(Commit{Ref: 1, Caller: in.Caller, Hold: w.granted(in)})
}

// run takes a wish to a running sliver.
func (w *world) run(in Wish) ID {
	w.t.Helper()
	id := w.lease(in)
	w.granted(Activate{Ref: 1, Caller: in.Caller, Lease: id, Program: []byte("probe")})
	return id
}

func (w *world) state(id ID, want State) Entry {
	w.t.Helper()
	e, ok := w.l.Lease(id)
	if !ok || e.State != want {
		w.t.Fatalf("%s: got %v %v, want %v", id.Short(), ok, e.State, want)
	}
	return e
}

func (w *world) has(want string) {
	w.t.Helper()
	for _, e := range w.out {
		if fmt.Sprintf("%T", e) == "lease."+want {
			return
		}
	}
	w.t.Fatalf("no %s in %v", want, w.out)
}
func (w *world) hasNot(not string) {
	w.t.Helper()
	for _, e := range w.out {
		if fmt.Sprintf("%T", e) == "lease."+not {
			w.t.Fatalf("%s in %v", not, w.out)
		}
	}
}
