// SPDX-License-Identifier: Apache-2.0

// Package offer is what a node says of itself, and how a seeker chooses.
//
// An [Offer] is signed by its node, at most 1 KiB, and good for at most ten
// minutes: attributes (claims of the node, which a monitor may contradict) and
// the free capacity of each pool. The newest sequence of a node replaces every
// older one; an offer that is Closed withdraws the node. An offer promises
// nothing: only a lease binds.
//
// A [Query] is constraints joined by &, then clauses:
//
//	cpu>=2000 & memory>=1GiB & country!=DE & rtt<80ms order by -free.cpu limit 20 spread by site
//
// The name of a resource means what is free of it in the commons pool;
// free.share.cpu is of another, and pool=share asks for one by name. What an
// offer does not state satisfies != and no other operator. [Answer] filters,
// orders and limits candidates and says what each constraint removed;
// [Merge] joins what several sources gave, newest offer per node; a [Search]
// tells matches while they come in.
//
//	q, err := offer.ParseQuery("cpu>=500 limit 3")
//	res := offer.Answer(q, offer.Merge(now, fromView, fromDHT), offer.Options{})
//
// Everything here is a pure value or a pure function: safe for concurrent use
// as long as nobody changes a shared value.
package offer
