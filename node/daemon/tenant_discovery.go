// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_discovery

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/role"
)

func init() {
	builtins["discovery"] = func(d *Daemon) tenant {
		if d.deps.Discovery == nil {
			return nil
		}
		return findTenant{d.deps.Discovery}
	}
}

// findTenant is the built-in discovery, view and index, behind the same messages as
// any successor.
type findTenant struct{ by api.Discovery }

// Call answers a query.
func (t findTenant) Call(ctx context.Context, what role.Call, ask json.RawMessage, part func(json.RawMessage) error) (json.RawMessage, error) {
	var a findAsk
	if err := exact(ask, &a); err != nil {
		return nil, &role.Failure{Code: "ask", Text: err.Error()}
	}
	if by, ok := ctx.Deadline(); ok { // what was found by then is an answer still
		var cancel context.CancelFunc
		left := time.Until(by)
		ctx, cancel = context.WithTimeout(ctx, left-left/10)
		defer cancel()
	}
	sent, full := map[lease.Principal]uint64{}, false
	bytes, parts := 0, 0
	send := func(f offer.Found) error {
		if full || sent[f.Offer.Node] >= f.Offer.Sequence {
			return nil
		}
		b, err := json.Marshal(findPart{[]findOffer{{f.Bytes, f.Source}}})
		if err != nil {
			return fmt.Errorf("writing a part: %w", err)
		}
		if full = bytes+len(b)+lineRoom > what.Bytes-endRoom || parts >= role.MaxParts-1; full {
			return nil
		}
		sent[f.Offer.Node] = f.Offer.Sequence
		bytes, parts = bytes+len(b)+lineRoom, parts+1
		return part(b)
	}
	res, err := t.by.Seek(ctx, a.request(), send)
	if err != nil {
		return nil, err
	}
	if err := each(res.Offers, send); err != nil {
		return nil, err
	}
	done := findDone{Known: res.Known, Matched: res.Matched, Removed: res.Removed, Nearest: res.Nearest, More: res.More, Missed: res.Missed}
	if full {
		done.Missed = fmt.Sprintf("an answer has room for %d nodes: ask for fewer, by a limit or more constraints", parts)
	}
	return json.Marshal(done)
}

// lineRoom is what goes around a part in its line, and endRoom what the end of an
// answer may take, in bytes.
const (
	lineRoom = 40
	endRoom  = 16 << 10
)
