// SPDX-License-Identifier: Apache-2.0

package lease

import "testing"

// grants has alice grant verbs over her slice web for an hour, and returns what
// the holder shows.
func (w *world) grants(holder string, verbs Verbs, seconds int64) []byte {
	w.t.Helper()
	alice := keyOf("alice")
	g, err := Seal(&Grant{K: KindGrant, Issuer: alice.Principal(), Holder: keyOf(holder).Principal(), From: w.now, Until: w.now + seconds,
		Slice: "web", Verbs: verbs, Sequence: 1}, alice)
	if err != nil {
		w.t.Fatal(err)
	}
	record, err := SealSlice(SliceRecord{Owner: alice.Principal(), Slice: "web", Sequence: 1, Made: w.now, Until: w.now + 86400,
		Grants: []ID{g.ID()}}, alice)
	if err != nil {
		w.t.Fatal(err)
	}
	return SealAuthority(g.Bytes(), record.Bytes)
}

func ofAlice(a *Ask) { a.Owner = keyOf("alice").Principal() }

func (w Wish) under(authority []byte) Wish { w.Authority = authority; return w }
func (in End) under(authority []byte) End  { in.Authority = authority; return in }

func TestAWishForAnothersSliceWantsAGrant(t *testing.T) {
	w := newWorld(t)
	wish := w.ask("bob", 100, 600, ofAlice)
	w.refused(wish, "local:invalid")
	w.refused(wish.under([]byte("no authority")), "local:invalid")
	w.refused(wish.under(w.grants("carol", AllVerbs, 3600)), "local:invalid")
	w.refused(wish.under(w.grants("bob", AllVerbs&^VerbRun, 3600)), "local:invalid")
	w.refused(wish.under(w.grants("bob", VerbRun, 599)), "local:invalid") // the lease would outlast it
	elsewhere := w.ask("bob", 100, 600, ofAlice, func(a *Ask) { a.Slice = "db" })
	w.refused(elsewhere.under(w.grants("bob", VerbRun, 3600)), "local:invalid")
	if n := len(w.journal); n != 0 {
		t.Errorf("%d facts about wishes that nobody was entitled to", n)
	}

	id := w.run(wish.under(w.grants("bob", VerbRun, 3600)))
	e := w.state(id, Active)
	o, err := Open(e.Statement)
	if err != nil {
		t.Fatal(err)
	}
	l := o.Statement.(*Lease)
	if bob, alice := keyOf("bob").Principal(), keyOf("alice").Principal(); e.Holder != bob || e.Owner != alice || l.Holder != bob || l.SliceOwner() != alice {
		t.Errorf("held by %s for %s", e.Holder.Short(), e.Owner.Short())
	}
	if n := len(w.l.Owner(keyOf("alice").Principal())); n != 1 || len(w.l.Owner(keyOf("bob").Principal())) != 0 {
		t.Errorf("the owner has %d", n)
	}
	w.crash()
	if w.state(id, Active).Owner != keyOf("alice").Principal() {
		t.Error("another owner after a crash")
	}
}

func TestWhoClosesALease(t *testing.T) {
	for name, c := range map[string]struct {
		who  string
		let  Verbs
		code string
	}{
		"its holder":                     {"bob", 0, ""},
		"the slice's owner":              {"alice", 0, ""},
		"a stranger":                     {"mallory", 0, "local:unknown"},
		"one who may stop":               {"carol", VerbStop, ""},
		"one who may do all but stop":    {"carol", AllVerbs &^ VerbStop, "local:invalid"},
		"the node, which has to revoke":  {"node", 0, "local:unknown"},
		"the owner, with a grant beside": {"alice", 0, ""},
	} {
		w := newWorld(t)
		id := w.run(w.ask("bob", 100, 600, ofAlice).under(w.grants("bob", VerbRun, 3600)))
		in := w.close(c.who, id, w.now)
		if c.let != 0 {
			in = in.under(w.grants(c.who, c.let, 3600))
		}
		if c.code != "" {
			w.refused(in, c.code)
			w.state(id, Active)
			continue
		}
		w.granted(in)
		if e := w.state(id, Closed); name == "one who may stop" && e.Reason != "closed by one whom the slice's owner lets" {
			t.Errorf("%s: %s", name, e.Reason)
		}
		w.granted(in) // again: the same answer
	}
}

func TestAHoldIsClosedByItsHolderAlone(t *testing.T) {
	w := newWorld(t)
	hold := w.granted(w.ask("bob", 100, 600, ofAlice).under(w.grants("bob", VerbRun, 3600)))
	w.refused(w.close("alice", hold, w.now), "local:unknown")
	w.refused(w.close("carol", hold, w.now).under(w.grants("carol", VerbStop, 3600)), "local:unknown")
	w.granted(w.close("bob", hold, w.now))
}

// A keeper renews what the owner runs, and the owner what a keeper holds: the
// sliver runs on, and whoever holds the lease is who pays for it.
func TestAKeeperRenews(t *testing.T) {
	w := newWorld(t)
	alice, bob := keyOf("alice").Principal(), keyOf("bob").Principal()
	first := w.run(w.ask("alice", 500, 600))
	replaces := func(id ID) func(*Ask) { return func(a *Ask) { a.Replaces = id } }
	w.refused(w.ask("bob", 500, 1200, ofAlice, replaces(first)).under(w.grants("bob", VerbRun, 3600)), "local:invalid")
	w.refused(w.ask("bob", 500, 1200, replaces(first)), "local:unknown") // to a slice of its own
	kept := w.lease(w.ask("bob", 500, 1200, ofAlice, replaces(first)).under(w.grants("bob", VerbRenew, 3600)))
	w.has("Continue")
	before, after := w.state(first, Closed), w.state(kept, Active)
	if before.Sliver != after.Sliver || after.Holder != bob || after.Owner != alice {
		t.Errorf("sliver %s held by %s, then %s by %s", before.Sliver, before.Holder.Short(), after.Sliver, after.Holder.Short())
	}
	w.granted(w.ask("alice", 300, 60)) // her 500 are charged to her no more
	w.refused(w.ask("bob", 200, 60), "local:policy")

	back := w.lease(w.ask("alice", 400, 1200, replaces(kept), func(a *Ask) { a.From += 60; a.Until += 60 }))
	if w.after(60); w.state(back, Active).Holder != alice {
		t.Error("the owner does not have it back")
	}
	w.state(kept, Closed)
	w.refused(w.ask("carol", 500, 1200, ofAlice, replaces(back)), "local:invalid")
}

// What was answered is answered again when the grant under which it was asked has
// lapsed, and nothing new is.
func TestAnAnswerOutlivesTheGrant(t *testing.T) {
	w := newWorld(t)
	wish := w.ask("bob", 100, 3600, ofAlice).under(w.grants("bob", VerbRun, 3600))
	no := w.ask("bob", 900, 3600, ofAlice).under(wish.Authority)
	refusal := w.refused(no, "local:policy")
	hold := w.granted(wish)
	lease := w.granted(Commit{Ref: 1, Caller: wish.Caller, Hold: hold})
	stop := w.close("carol", lease, w.now).under(w.grants("carol", VerbStop, 60))
	w.granted(stop)
	w.after(1800)
	for range 2 {
		w.after(1900) // the grants' terms are over; the answers are kept until an hour after the wish's
		if again := w.granted(wish); again != hold {
			t.Errorf("another hold: %s", again.Short())
		}
		w.granted(wish.under(nil))
		if again := w.refused(no, "local:policy"); again.Refusal.Error() != refusal.Refusal.Error() {
			t.Errorf("another refusal: %v", again.Refusal)
		}
		w.granted(stop)
		w.hasNot("Fact")
		w.refused(w.ask("bob", 100, 600, ofAlice).under(wish.Authority), "local:invalid")
		w.crash()
	}
}
