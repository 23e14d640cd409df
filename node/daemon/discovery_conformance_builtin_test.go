// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_discovery

package daemon

import (
	"context"
	"iter"
	"testing"
	"time"

	"croft/dht/index"
	"croft/lease/offer"
)

// viewOnly is the built-in, alone: the index is empty.
type viewOnly struct{ finder }

func (v viewOnly) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	return v.find(ctx, req, func(offer.Found) error { return nil })
}

func (v viewOnly) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	return v.find(ctx, req, tell)
}

func TestBuiltinDiscoveryConforms(t *testing.T) {
	s, d := stageFinds(t)
	s.hold(t, d, findTenant{viewOnly{finder{now: time.Now,
		view: func() (list []offer.Found) {
			for _, o := range d.view() {
				list = append(list, offer.NewFound(*o, offer.View, time.Now()))
			}
			return list
		},
		walk: func(context.Context, index.Search) iter.Seq2[offer.Found, error] {
			return func(func(offer.Found, error) bool) {}
		}}}})
}
