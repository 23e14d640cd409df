// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"sync"
	"time"
)

// counted keeps the last answer, for countedAge.
type counted struct {
	mu   sync.Mutex
	at   time.Time
	last []Counters
}

// get has one at a time ask. Nobody keeps what it returns.
func (c *counted) get(ctx context.Context, ask func(context.Context) ([]Counters, error)) ([]Counters, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < countedAge {
		return c.last, nil
	}
	all, err := ask(ctx)
	if err != nil {
		return nil, err
	}
	c.last, c.at = all, time.Now()
	return all, nil
}
