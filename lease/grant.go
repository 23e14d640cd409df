// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"strings"
)

// An Authority is what a principal shows in order to act on a slice of
// another's: a grant, and the record of the slice on which it stands. It travels
// as an array of the two, each signed. Only [OpenAuthority] makes one; it says
// nothing of the present: see [Authority.Allows].
type Authority struct {
	*Grant
	ID     ID // of the grant
	Record OpenedSlice
	signed Signed
}

// Deed is what somebody is about to do with a slice.
type Deed struct {
	By    Principal // who proved its key
	Owner Principal
	Slice string
	Any   Verbs // one of these is enough
	At    int64 // Unix seconds
	Until int64 // end of the lease that is wished; 0 for what has no term
}

// authority is the form that travels.
type authority struct {
	_             struct{} `cbor:",toarray"`
	Grant, Record []byte
}

// SealAuthority joins a signed grant and a signed record.
func SealAuthority(grant, record []byte) []byte {
	b, err := encode.Marshal(authority{Grant: grant, Record: record})
	if err != nil {
		panic(err) // two byte strings always encode
	}
	return b
}

// Bytes returns the form that travels, with the record that the grant stands on
// now.
func (a Authority) Bytes() []byte { return SealAuthority(a.signed.Bytes(), a.Record.Bytes) }

// OpenAuthority reads what SealAuthority made: both signatures hold, and the two
// belong together (rules G1 and G2 of docs/protocol/slices.md).
func OpenAuthority(b []byte) (Authority, error) {
	var parts authority
	if err := Decode(b, &parts, MaxAuthority); err != nil {
		return Authority{}, fmt.Errorf("authority: %w", err)
	}
	o, err := read(parts.Grant)
	if err != nil {
		return Authority{}, fmt.Errorf("grant: %w", err)
	}
	g, ok := o.Statement.(*Grant)
	if !ok {
		return Authority{}, fmt.Errorf("a %s grants nothing: %w", o.Kind(), ErrKind) // G1
	}
	record, err := OpenSlice(parts.Record)
	if err != nil {
		return Authority{}, err
	}
	a := Authority{Grant: g, ID: o.ID, signed: o.Signed}
	if a, err = a.On(record); err != nil {
		return Authority{}, err
	}
	if err := o.verify(); err != nil {
		return Authority{}, fmt.Errorf("grant by %s: %w", g.Issuer.Short(), err) // G1
	}
	return a, nil
}

// On returns the grant standing on another record, such as a newer one. It
// refuses a record that is not the grant's slice's.
func (a Authority) On(r OpenedSlice) (Authority, error) {
	if r.Owner != a.Issuer || r.Slice != a.Slice { // G2
		return Authority{}, fmt.Errorf("grant over %s by %s, record of %s: %w", labelled(a.Slice), a.Issuer.Short(),
			labelled(r.Slice)+"@"+r.Owner.Short(), ErrGrant)
	}
	a.Record = r
	return a, nil
}

// Allows judges a deed by the grant and the record beside it: rules G3 to G8. It
// is pure; who judges sees to it that the record is the newest that is known.
func (a Authority) Allows(d Deed) error {
	switch {
	case d.Owner != a.Issuer || a.Slice != "" && d.Slice != a.Slice: // G3
		return fmt.Errorf("grant over %s@%s, not over %s@%s: %w", labelled(a.Slice), a.Issuer.Short(), d.Slice, d.Owner.Short(), ErrGrant)
	case d.By != a.Holder: // G4
		return fmt.Errorf("granted to %s, shown by %s: %w", a.Holder.Short(), d.By.Short(), ErrNotHolder)
	case a.Verbs&d.Any == 0: // G5
		return fmt.Errorf("grant for %s, needed is %s: %w", a.Verbs, d.Any, ErrGrant)
	case !a.Term().Covers(d.At): // G6
		return fmt.Errorf("grant for %s: %w", a.Term(), ErrLapsed)
	case d.Until > a.Until: // G7
		return fmt.Errorf("until %s, granted until %s: %w", unix(d.Until), unix(a.Until), ErrLapsed)
	case !a.Record.Lists(a.ID): // G8
		return fmt.Errorf("record %d of %s does not list grant %s: %w", a.Record.Sequence, labelled(a.Slice), a.ID.Short(), ErrRevoked)
	case !a.Record.Holds(d.At): // G8
		return fmt.Errorf("record %d of %s said so until %s: %w", a.Record.Sequence, labelled(a.Slice), unix(a.Record.Until), ErrLapsed)
	}
	return nil
}

func labelled(label string) string {
	if label == "" {
		return "every slice"
	}
	return label
}

var verbNames = [...]string{"run", "renew", "stop", "logs", "exec", "audit", "publish"}

// String lists the verbs as people write them: "logs,exec".
func (v Verbs) String() string {
	var names []string
	for i, name := range verbNames {
		if v&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := v &^ AllVerbs; rest != 0 {
		names = append(names, fmt.Sprintf("verbs(%#x)", uint16(rest)))
	}
	return strings.Join(names, ",")
}

// ParseVerbs reads what String prints; "all" is every verb.
func ParseVerbs(s string) (v Verbs, err error) {
	if s == "all" {
		return AllVerbs, nil
	}
	for word := range strings.SplitSeq(s, ",") {
		bit := Verbs(0)
		for i, name := range verbNames {
			if strings.TrimSpace(word) == name {
				bit = 1 << i
			}
		}
		if bit == 0 {
			return 0, fmt.Errorf("verb %.20q: want %s: %w", word, strings.Join(verbNames[:], ", "), ErrSyntax)
		}
		v |= bit
	}
	return v, nil
}

func (v Verbs) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

func (v *Verbs) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVerbs(string(b))
	return err
}

// SliceOwner returns whose slice the lease is for: the holder's, unless another
// is named.
func (l *Lease) SliceOwner() Principal {
	if l.Owner.IsZero() {
		return l.Holder
	}
	return l.Owner
}
