// SPDX-License-Identifier: Apache-2.0

package market

import (
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/purse"
)

// Released has a purse do something and returns what it hands out, or why it refuses.
// Its facts are dropped: purses of an experiment have no disk, and never restart.
func Released(book *purse.Purse, now time.Time, in purse.Input) (chain [][]byte, err error) {
	for _, e := range book.Step(now, in) {
		switch e := e.(type) {
		case purse.Release:
			chain = e.Chain
		case purse.Refuse:
			err = e.Err
		}
	}
	return chain, err
}

// Keep puts a ticket, with its chain, into a purse and returns its name.
func Keep(book *purse.Purse, now time.Time, chain [][]byte) (lease.ID, error) {
	if _, err := Released(book, now, purse.Keep{Chain: chain}); err != nil {
		return lease.ID{}, fmt.Errorf("keeping a ticket: %w", err)
	}
	return Leaf(chain)
}

// Leaf names the claim at the end of a chain.
func Leaf(chain [][]byte) (lease.ID, error) {
	o, err := lease.Open(chain[len(chain)-1])
	return o.ID, err
}
