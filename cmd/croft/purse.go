// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"croft/lease"
	"croft/lease/purse"
	"croft/lease/sign"
	"croft/node/journal"
)

// A person's tickets and what was drawn on them are kept in a journal of their
// own, HOME/purse/PRINCIPAL: a redeem is in it, durably, before a node sees it.

const (
	purseWait  = 50 * time.Millisecond // between looks at a purse that another command has open
	purseSlack = 256                   // records more than needed before the journal is written anew
)

// keepTicket puts a ticket into the purse.
func (a *app) keepTicket(ctx context.Context, key *sign.Key, chain [][]byte) error {
	_, err := a.purse(ctx, key, purse.Keep{Chain: chain})
	return err
}

// purse has the purse do one thing and returns what it hands out. The error of
// a refusal is the purse's own.
func (a *app) purse(ctx context.Context, key *sign.Key, in purse.Input) (chain [][]byte, err error) {
	j, records, err := a.openPurse(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("opening your purse: %w", err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	p := purse.New(key)
	for _, r := range records {
		f, err := purse.ParseFact(r)
		if err == nil {
			err = p.Restore(f)
		}
		if err != nil {
			return nil, fmt.Errorf("reading your purse: %w", err)
		}
	}
	for _, e := range p.Step(time.Now(), in) {
		switch e := e.(type) {
		case purse.Fact:
			if err := j.Append(e.Record()); err != nil {
				return nil, fmt.Errorf("writing to your purse: %w", err)
			}
		case purse.Release:
			chain = e.Chain
		case purse.Refuse:
			return nil, e.Err
		}
	}
	if facts := p.Facts(); len(records) > len(facts)+purseSlack {
		snapshot := make([]journal.Record, len(facts))
		for i, f := range facts {
			snapshot[i] = f.Record()
		}
		if err := j.Snapshot(snapshot); err != nil {
			return nil, fmt.Errorf("writing your purse anew: %w", err)
		}
	}
	return chain, nil
}

// openPurse waits while another command has it open: draws are one at a time.
func (a *app) openPurse(ctx context.Context, key *sign.Key) (*journal.Journal, []journal.Record, error) {
	path := filepath.Join(a.home, "purse", key.Principal().String())
	for {
		j, records, err := journal.Open(path, journal.Options{Ballast: -1})
		if !errors.Is(err, journal.ErrLocked) {
			return j, records, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, errors.Join(ctx.Err(), err)
		case <-time.After(purseWait):
		}
	}
}

// refusedByPurse makes of the purse's no what a node would have said to the
// same wish: the holder's own claim is used up, or does not reach that far.
func refusedByPurse(err error) (lease.Refusal, bool) {
	for _, used := range []error{purse.ErrSpent, purse.ErrSlot, purse.ErrEnded, purse.ErrFloor, lease.ErrExceeds} {
		if errors.Is(err, used) {
			return lease.Refusal{Sort: lease.Exhausted, Text: err.Error()}, true
		}
	}
	return lease.Refusal{}, false
}
