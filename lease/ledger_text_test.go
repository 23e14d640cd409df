// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestInputsPrintInAFormThatParses(t *testing.T) {
	blobs := make(map[Digest][]byte)
	put := func(s string) []byte { blobs[digestOf([]byte(s))] = []byte(s); return []byte(s) }
	alice := keyOf("alice").Principal()
	for _, in := range []Input{
		Wish{Ref: 7, Caller: alice, Chain: [][]byte{put("capacity"), put("ticket"), put("redeem")}},
		Wish{Ref: 7, Caller: alice, Chain: [][]byte{put("ask")}, Decided: &Decision{Refusal: `no "more" = so`}},
		Wish{Ref: 7, Caller: alice, Chain: [][]byte{put("ask")}, Decided: &Decision{Said: "at 7"}},
		Commit{Ref: 1, Caller: alice, Hold: ID{2}},
		Activate{Ref: 1, Caller: alice, Lease: ID{2}, Program: put("program")},
		End{Ref: 1, Caller: alice, Close: put("close")},
		Wish{Ref: 7, Caller: alice, Chain: [][]byte{put("ask")}, Authority: put("authority")},
		End{Ref: 1, Caller: alice, Close: put("close"), Authority: put("authority")},
		Issue{Ref: 1, Holder: alice, RSet: RSet{CPU: 500, Memory: 256 << 20}, Term: Term{5, 9}, Degree: 100, Request: Request{3}},
		Recall{Ref: 1, Lease: ID{2}, Reason: `a "quoted" reason = so`},
		Bar{ReasonClock}, Accuse{Ref: 4, Proof: put("proof")}, Gone{ID{9}}, Recover{}, Tick{},
	} {
		got, err := ParseInput(in.String(), func(d Digest) ([]byte, bool) { b, ok := blobs[d]; return b, ok })
		if err != nil || !reflect.DeepEqual(got, in) {
			t.Errorf("%s: got %v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "wash ref=1", "commit ref=1", "tick ref=1", "commit ref=x caller= hold=", "gone lease=a lease=a",
		`recall ref=1 lease=` + ID{2}.String() + ` reason="open`, "issue ref=1 request=zz"} {
		if in, err := ParseInput(bad, nil); err == nil {
			t.Errorf("%q: read as %v", bad, in)
		}
	}
}

func FuzzParseInput(f *testing.F) {
	f.Add("gone lease=" + ID{1}.String())
	f.Add(Wish{Caller: nodeKey.Principal(), Decided: &Decision{Refusal: `a "no"`, Said: "at 7"}}.String())
	f.Add(`recall ref=1 lease=` + ID{2}.String() + ` reason="x y"`)
	f.Fuzz(func(t *testing.T, line string) {
		in, err := ParseInput(line, nil)
		if err != nil {
			return
		}
		if again, err := ParseInput(in.String(), nil); err != nil || again.String() != in.String() {
			t.Fatalf("%s: %v, %v", in, again, err)
		}
	})
}

func FuzzParseFact(f *testing.F) {
	f.Add(Fact{K: FactEnded, At: 1, Claim: ID{1}, Event: uint8(onFuse)}.Record())
	f.Add(Fact{K: FactHeld, At: 1, Wish: []byte("w"), Signed: []byte("s"), Ports: []Port{{Proto: TCP, Number: 1, Inside: 2}}}.Record())
	f.Fuzz(func(t *testing.T, b []byte) {
		fact, err := ParseFact(b)
		if err != nil {
			return
		}
		if string(fact.Record()) != string(b) {
			t.Fatalf("%x is read and written as %x", b, fact.Record())
		}
		// What a journal of another ledger says is refused, and breaks nothing.
		_ = NewLedger(LedgerConfig{Key: nodeKey}).Restore(fact)
	})
}

func TestQueries(t *testing.T) {
	w := newWorld(t)
	chain := w.ticket("alice", 100, 3600)
	id := w.run(w.redeem("alice", chain, 5, 60, 600))
	w.granted(w.ask("bob", 100, 600))
	e, _ := w.l.Lease(id)
	if got, ok := w.l.Sliver(e.Sliver); !ok || got.Lease != id || got.Sliver != id.String()[:16] {
		t.Fatalf("sliver: %+v", got)
	}
	if l := w.l.Leases(); len(l) != 2 || l[0].Lease != id {
		t.Fatalf("leases: %+v", l)
	}
	if l := w.l.Holder(keyOf("bob").Principal()); len(l) != 1 || l[0].State != Held {
		t.Fatalf("bob's: %+v", l)
	}
	if k := w.l.Tickets(); len(k) != 1 || k[0].Redeems != 1 || string(k[0].Chain[1]) != string(chain[1]) {
		t.Fatalf("tickets: %+v", k)
	}
	b, err := json.Marshal(e)
	var back Entry
	if err != nil || json.Unmarshal(b, &back) != nil || !reflect.DeepEqual(back, e) {
		t.Fatalf("%s: %v", b, err)
	}
}

func TestDefaultPoolsAddUpToTheCapacity(t *testing.T) {
	capacity := RSet{CPU: 4001, Memory: 8 << 30, EgressRate: 1e9, PortsIn: 5}
	pools := DefaultPools(capacity)
	var sum RSet
	for _, p := range pools {
		sum = sum.Plus(p.Capacity)
	}
	if sum != capacity {
		t.Fatalf("%s", sum)
	}
	w := newWorld(t, pools...)
	w.granted(w.ask("alice", 500, 86400))
	w.refused(w.ask("alice", 1, 86400), "local:policy")
	w.granted(w.ask("bob", 500, 86400))
}
