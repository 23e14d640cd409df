// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"fmt"

	"croft/lease/offer"
)

// IndexInput is what a Registration and a Search take: Routed, Replied, Unheard or
// Tick.
type IndexInput interface {
	fmt.Stringer
	indexInput()
}

// Routed answers Route: the peers nearest to the key, nearest first, this node not
// among them. Failed says that nobody could be asked, Cut that there may be nearer ones,
// as time ran out.
type Routed struct {
	Key    Key
	Peers  []Key
	Failed bool
	Cut    bool
}

// Replied answers Send.
type Replied struct {
	Number   int
	Response Response
}

// Unheard says that nothing will come of a Send: the peer is silent, or what it
// answered is no answer.
type Unheard struct{ Number int }

func (Routed) indexInput()  {}
func (Replied) indexInput() {}
func (Unheard) indexInput() {}
func (Tick) indexInput()    {}

func (i Routed) String() string {
	s := "routed " + i.Key.String()
	for _, k := range i.Peers {
		s += " " + k.String()
	}
	if i.Failed {
		s += " failed"
	}
	if i.Cut {
		s += " cut"
	}
	return s
}
func (i Replied) String() string { return fmt.Sprintf("replied %d %s", i.Number, Answer{i.Response}) }
func (i Unheard) String() string { return fmt.Sprintf("unheard %d", i.Number) }

// IndexEffect is what they want done or known: Route, Send, Forget, Show, Unread,
// Measured or Ended.
type IndexEffect interface {
	fmt.Stringer
	indexEffect()
}

// Route wants the peers nearest to a key looked up. If nobody waits for them that is
// Calm, and those of before, nearest first, are where it begins ([LookupConfig]).
type Route struct {
	Key    Key
	Calm   bool
	Before []Key
}

// Send wants a request brought to a peer, or to the node's own holder.
type Send struct {
	Number  int
	To      Key
	Request Request
}

// Forget says that nobody waits for the answer to a Send any more.
type Forget struct{ Number int }

// Show passes on an offer: the newest of its node so far, whether it matches or not.
type Show struct{ Offer *offer.Opened }

// Unread tells of a bucket that could not be read: the look-up of its holders
// failed, or none of them answered.
type Unread struct {
	Bucket Bucket
	Routed bool // holders were found
}

// Measured says how many offers a bucket and its parts have, for Sizes.
type Measured struct {
	Bucket Bucket
	Offers int
}

// Ended is the last effect.
type Ended struct{}

func (Route) indexEffect()    {}
func (Send) indexEffect()     {}
func (Forget) indexEffect()   {}
func (Show) indexEffect()     {}
func (Unread) indexEffect()   {}
func (Measured) indexEffect() {}
func (Ended) indexEffect()    {}

func (e Route) String() string {
	s := "route " + e.Key.String()
	if e.Calm {
		s += " calm"
	}
	for _, k := range e.Before {
		s += " " + k.String()
	}
	return s
}
func (e Send) String() string {
	s := fmt.Sprintf("send %d %s %d", e.Number, e.To, e.Request.Op)
	for _, k := range e.Request.Buckets {
		s += " " + k.String()
	}
	return s
}
func (e Forget) String() string   { return fmt.Sprintf("forget %d", e.Number) }
func (e Show) String() string     { return "show " + blob(e.Offer.Bytes).String() }
func (e Unread) String() string   { return fmt.Sprintf("unread %s %t", e.Bucket, e.Routed) }
func (e Measured) String() string { return fmt.Sprintf("measured %s %d", e.Bucket, e.Offers) }
func (Ended) String() string      { return "ended" }
