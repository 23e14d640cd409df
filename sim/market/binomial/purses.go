// SPDX-License-Identifier: Apache-2.0

package binomial

import (
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/purse"
	"croft/sim/market"
)

// give passes units of a ticket on; n names the request among those of the purse.
func give(book *purse.Purse, under lease.ID, to lease.Principal, units, degree int, term lease.Term, n int) ([][]byte, error) {
	request := lease.Request{byte(n), byte(n >> 8), byte(units), byte(units >> 8)}
	chain, err := market.Released(book, time.Unix(epoch, 0), purse.Give{Ticket: under, Slot: purse.AnySlot, Holder: to, RSet: lease.RSet{lease.CPU: uint64(units)},
		Term: term, Degree: uint16(degree), Request: request})
	if err != nil {
		return nil, fmt.Errorf("passing %d units on: %w", units, err)
	}
	return chain, nil
}
