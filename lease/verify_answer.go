// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"fmt"
)

// wish is what a redeem and an ask have in common.
type wish struct {
	issuer, node Principal
	rset         RSet
	term         Term
	slice        string
	replaces     ID
	ports        []Port
	pool         Pool
	owner        Principal
	class        Class
	weight       uint16
	alone        uint8
	fanOut       uint16
}

func wishOf(st Statement) (wish, bool) {
	switch st := st.(type) {
	case *Redeem:
		return wish{issuer: st.Issuer, node: st.Node, rset: st.RSet, term: st.Term(), slice: st.Slice, replaces: st.Replaces,
			ports: st.Ports, pool: PoolSharp, owner: st.Owner, fanOut: st.FanOut}, true
	case *Ask:
		return wish{st.Issuer, st.Node, st.RSet, st.Term(), st.Slice, st.Replaces, st.Ports, st.Pool,
			st.Owner, st.Class, st.Weight, st.Alone, st.FanOut}, true
	}
	return wish{}, false
}

// VerifyAnswer reads what a node sent in answer to a wish (a redeem or an ask)
// and verifies that it is one: a hold or a lease of exactly what was wished, or
// a reject. The wish is the caller's own or was verified before.
func VerifyAnswer(to Opened, answer []byte) (Opened, error) {
	if _, ok := wishOf(to.Statement); !ok {
		return Opened{}, fmt.Errorf("%s is no wish: %w", to.Kind(), ErrKind)
	}
	o, err := read(answer)
	if err != nil {
		return Opened{}, err
	}
	if err = answers(to, o); err == nil {
		err = o.verify()
	}
	if err != nil {
		return Opened{}, fmt.Errorf("%s in answer to %s %s: %w", o.Kind(), to.Kind(), to.ID.Short(), err)
	}
	return o, nil
}

// answers holds A1 to A8, all but the signature.
func answers(to, o Opened) error {
	w, ok := wishOf(to.Statement)
	if !ok {
		return fmt.Errorf("%s is no wish: %w", to.Kind(), ErrKind)
	}
	switch st := o.Statement.(type) {
	case *Hold:
		return w.granted(to.ID, st.Parent, st.Node, st.Holder, st.RSet, st.Term())
	case *Lease:
		return first(
			w.granted(to.ID, st.Parent, st.Node, st.Holder, st.RSet, st.Term()),
			unless(st.Slice == w.slice, ErrAnswer, "slice %q, wished %q", st.Slice, w.slice),                       // A5
			unless(st.Pool == w.pool, ErrAnswer, "pool %q, wished %q", st.Pool, w.pool),                            // A5
			unless(st.Owner == w.owner, ErrAnswer, "slice of %s, wished of %s", st.Owner.Short(), w.owner.Short()), // A5
			unless(st.Class == w.class && st.Weight == w.weight && st.Alone == w.alone, ErrAnswer, // A8
				"%s of weight %d, wished %s of weight %d", st.Class, st.Weight, w.class, w.weight),
			unless(st.FanOut == w.fanOut, ErrAnswer, "fan-out %d, wished %d", st.FanOut, w.fanOut),                          // A8
			unless(st.Replaces == w.replaces, ErrAnswer, "replaces %s, wished %s", st.Replaces.Short(), w.replaces.Short()), // A6
			unless(st.Sliver.IsZero() == w.replaces.IsZero(), ErrAnswer, "sliver %s, replaces %s", st.Sliver.Short(), w.replaces.Short()),
			w.sameports(st.Ports))
	case *Reject:
		return w.addressed(to.ID, st.Parent, st.Node)
	}
	return fmt.Errorf("a %s answers no wish: %w", o.Kind(), ErrAnswer)
}

// addressed holds A1 and A2: the answer is to this wish, by the node it names.
func (w wish) addressed(id, parent ID, node Principal) error {
	return first(
		unless(parent == id, ErrAnswer, "answers %s, not %s", parent.Short(), id.Short()),
		unless(node == w.node, ErrWrongNode, "node %s, want %s", node.Short(), w.node.Short()))
}

// granted holds A1 to A4: what is granted is what was wished, to who wished it.
func (w wish) granted(id, parent ID, node, holder Principal, s RSet, t Term) error {
	return first(
		w.addressed(id, parent, node),
		unless(holder == w.issuer, ErrNotHolder, "granted to %s, wished by %s", holder.Short(), w.issuer.Short()),
		unless(s == w.rset, ErrAnswer, "rset %s, wished %s", s, w.rset),
		unless(t == w.term, ErrAnswer, "term %s, wished %s", t, w.term))
}

// sameports holds A7: every wished port in its place, any number where the wish
// leaves it open.
func (w wish) sameports(got []Port) error {
	same := len(got) == len(w.ports)
	for i := 0; same && i < len(got); i++ {
		want := w.ports[i]
		same = got[i].Proto == want.Proto && got[i].Inside == want.Inside && (want.Number == 0 || want.Number == got[i].Number)
	}
	return unless(same, ErrAnswer, "ports %v, wished %v", got, w.ports)
}

// VerifyEnd reads a close or revoke and verifies that it ends the claim (a hold
// or a lease): named by id, at its node, and signed by who may: the holder
// closes, and the owner of the slice where a lease names another; the node
// revokes.
func VerifyEnd(of Opened, end []byte) (Opened, error) { return verifyEnd(of, end, nil) }

// VerifyGrantedEnd is VerifyEnd for a close by whom the owner of the slice has
// granted it, as the record stood that was shown with the grant (rule E5 of
// docs/protocol/slices.md).
func VerifyGrantedEnd(of Opened, end []byte, by Authority) (Opened, error) {
	return verifyEnd(of, end, &by)
}

func verifyEnd(of Opened, end []byte, by *Authority) (Opened, error) {
	var node, holder, owner Principal
	var label string
	switch st := of.Statement.(type) {
	case *Hold:
		node, holder = st.Node, st.Holder
	case *Lease:
		node, holder, owner, label = st.Node, st.Holder, st.SliceOwner(), st.Slice
	default:
		return Opened{}, fmt.Errorf("%s has no signed end: %w", of.Kind(), ErrKind)
	}
	o, err := read(end)
	if err != nil {
		return Opened{}, err
	}
	switch st := o.Statement.(type) {
	case *Close:
		may := holder
		if owner == st.Issuer {
			may = owner
		}
		if by != nil && label != "" && st.Issuer != may {
			if err = by.Allows(Deed{By: st.Issuer, Owner: owner, Slice: label, Any: VerbStop, At: st.At}); err == nil {
				may = st.Issuer
			}
		}
		err = cmp.Or(err, ends(of.ID, st.Claim, node, st.Node, may, st.Issuer))
	case *Revoke:
		err = ends(of.ID, st.Claim, node, st.Node, node, st.Node)
	default:
		err = fmt.Errorf("a %s ends nothing: %w", o.Kind(), ErrKind)
	}
	if err == nil {
		err = o.verify()
	}
	if err != nil {
		return Opened{}, fmt.Errorf("%s of %s %s: %w", o.Kind(), of.Kind(), of.ID.Short(), err)
	}
	return o, nil
}

// ends holds E1 to E3.
func ends(id, named ID, node, at, may, issuer Principal) error {
	return first(
		unless(named == id, ErrAnswer, "ends %s, not %s", named.Short(), id.Short()),
		unless(at == node, ErrWrongNode, "node %s, want %s", at.Short(), node.Short()),
		unless(issuer == may, ErrNotHolder, "ended by %s, held by %s", issuer.Short(), may.Short()))
}
