// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"croft/lease"
)

// said is a setting that a text may make, and where it does.
type said[T any] struct {
	v  T
	at Mark
	ok bool
}

// or takes what another text says where this one is silent.
func (s *said[T]) or(o said[T]) {
	if !s.ok {
		*s = o
	}
}

// get returns what was said, or else def.
func (s said[T]) get(def T) T {
	if s.ok {
		return s.v
	}
	return def
}

// amount is so much of a resource, or a share of a whole in hundredths of a
// percent.
type amount struct {
	fixed uint64
	share uint64
	isOf  bool // a share
}

type amounts [lease.NumResources]said[amount]

// Source is one policy's text as read: the owner's file, or a community's
// document. It says nothing yet of any machine: see [Base.Compile].
type Source struct {
	name       string
	community  bool
	principals map[string]lease.Principal
	names      []string // of principals, in the order of the text
	marks      map[string]Mark
	used       map[string]bool

	refuse []listed
	allow  []listed // the owner's exceptions from what communities refuse

	hold, activation, grace, quarantine said[int64]

	capacity amounts
	pools    []*poolSource
	gives    []*giveSource
	follow   []Followed
}

// listed is a principal on a list.
type listed struct {
	who  lease.Principal
	name string
	at   Mark
}

// poolSource is what a text says of one pool.
type poolSource struct {
	name lease.Pool
	at   Mark

	mechanism said[string]
	part      said[amount]
	amounts   amounts
	only      said[[]listed]
	longest   said[int64]
	ahead     said[int64]
	each      amounts // of one principal
	network   amounts // of one source network
	idleOnly  said[bool]
	notice    said[int64] // share
	maxWeight said[int64] // share
	borrow    said[bool]  // share
	noShow    said[int64] // calendar
	alone     said[bool]  // calendar
}

type giveSource struct {
	at      Mark
	to      said[listed]
	amounts amounts
	degree  said[int64]
	term    said[int64]
}

// Followed is a community policy that a file follows.
type Followed struct {
	Mark
	File string          // as the text names it
	By   lease.Principal // who must have signed it
	Name string          // what the text calls the signer
}

// Follows returns the community policies that the text follows, in its order.
func (s *Source) Follows() []Followed { return s.follow }

// pool returns what the text says of a pool, or nil.
func (s *Source) pool(name lease.Pool) *poolSource {
	for _, p := range s.pools {
		if p.name == name {
			return p
		}
	}
	return nil
}

// Read reads the owner's own policy. name is what mistakes and origins call the
// text, such as "policy.toml". The error is an [Errors].
func Read(name string, text []byte) (*Source, error) { return read(name, text, false) }

// ReadCommunity reads a text that others are to follow: it may say nothing of a
// particular machine, gives nothing away and follows nobody.
func ReadCommunity(name string, text []byte) (*Source, error) { return read(name, text, true) }

func read(name string, text []byte, community bool) (*Source, error) {
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	r := &reader{s: &Source{name: name, community: community, principals: map[string]lease.Principal{},
		marks: map[string]Mark{}, used: map[string]bool{}}}
	r.file(root)
	if err := r.err(); err != nil {
		return nil, err
	}
	return r.s, nil
}
