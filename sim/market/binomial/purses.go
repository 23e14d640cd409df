// SPDX-License-Identifier: Apache-2.0

package binomial

import (
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/purse"
)

// release is what a purse hands out.
func release(effects []purse.Effect) (chain [][]byte, err error) {
	for _, e := range effects {
		switch e := e.(type) {
		case purse.Release:
			chain = e.Chain
		case purse.Refuse:
			err = e.Err
		}
	}
	return chain, err
}

// keep puts a ticket into a purse.
func keep(book *purse.Purse, chain [][]byte) (lease.ID, error) {
	if _, err := release(book.Step(time.Unix(epoch, 0), purse.Keep{Chain: chain})); err != nil {
		return lease.ID{}, fmt.Errorf("keeping a ticket: %w", err)
	}
	return leaf(chain)
}

// give passes units of a ticket on; n names the request among those of the purse.
func give(book *purse.Purse, under lease.ID, to lease.Principal, units, degree int, term lease.Term, n int) ([][]byte, error) {
	request := lease.Request{byte(n), byte(n >> 8), byte(units), byte(units >> 8)}
	chain, err := release(book.Step(time.Unix(epoch, 0), purse.Give{Ticket: under, Slot: purse.AnySlot, Holder: to, RSet: lease.RSet{lease.CPU: uint64(units)},
		Term: term, Degree: uint16(degree), Request: request}))
	if err != nil {
		return nil, fmt.Errorf("passing %d units on: %w", units, err)
	}
	return chain, nil
}

// leaf is the ticket at the end of a chain.
func leaf(chain [][]byte) (lease.ID, error) {
	o, err := lease.Open(chain[len(chain)-1])
	return o.ID, err
}
