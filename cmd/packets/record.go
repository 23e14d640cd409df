// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
	"croft/lease/sign"
)

// open opens a record as the node with this state directory would.
func open(state string, span time.Duration) (*store.Store, *sign.Key, error) {
	text, err := os.ReadFile(filepath.Join(state, "node", "key"))
	if err != nil {
		return nil, nil, err
	}
	key, err := sign.Parse(text, nil)
	if err != nil {
		return nil, nil, err
	}
	s, err := store.Open(filepath.Join(state, "audit"), store.Options{Node: key.Principal(), Reserve: -1, Span: span})
	return s, key, err
}

// hasty is the span of forged segments, which need not be open for long.
const hasty = time.Second

// rewrite puts another record in the place of a node's: of as many segments, at the
// same times, with all rows but those of a slice, closed, indexed, in a log of its
// own and signed with the node's key. That is all that a node's owner can do.
func rewrite(ctx context.Context, state, slice string) (err error) {
	s, key, err := open(state, 0)
	if err != nil {
		return err
	}
	segments := s.Segments(0, math.MaxInt)
	kept, left := map[uint64][]ebpf.Flow{}, 0
	for row, rowErr := range s.Rows(ctx, audit.Flows{Until: math.MaxInt64}) {
		switch {
		case rowErr != nil:
			err = rowErr
		case strings.HasPrefix(row.Slice, slice+"@"):
			left++
		case row.Ref.Closed:
			kept[row.Ref.Segment] = append(kept[row.Ref.Segment], row.Flow)
		}
	}
	tenures, tenureErr := s.Tenures()
	if err := errors.Join(err, tenureErr, s.Close()); err != nil {
		return err
	}
	if len(segments) == 0 || left == 0 {
		return fmt.Errorf("%d segments and %d rows of %s: nothing to rewrite", len(segments), left, slice)
	}
	dir := filepath.Join(state, "audit")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	forged, _, err := open(state, hasty)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forged.Close()) }()
	for _, t := range tenures {
		if strings.HasPrefix(t.Slice, slice+"@") {
			continue
		}
		if err := forged.AppendTenure(t); err != nil {
			return err
		}
	}
	for _, at := range segments {
		e := ebpf.Epoch{Series: 1, Number: at.Number + 1, At: at.Until, Flows: kept[at.Number]}
		for _, f := range e.Flows {
			e.Identity.Recorded += f.Packets
		}
		e.Identity.NoSliver = 1 // so that it is something, where nothing else is left
		e.Identity.Seen = e.Identity.Recorded + 1
		if err := forged.Append(e); err != nil {
			return err
		}
		for _, now := range []int64{at.Until, at.Until + int64(hasty)} {
			if _, err := forged.Turn(ctx, time.Unix(0, now), key); err != nil {
				return err
			}
		}
	}
	head, _ := forged.Head()
	return show(map[string]uint64{"segments": head.Size, "rows_left_out": uint64(left)})
}

// account is the sum of the accounts in a record's closed segments.
type account struct {
	Segments   uint64            `json:"segments"`
	Epochs     int               `json:"epochs"`
	Seen       uint64            `json:"seen"`
	Recorded   uint64            `json:"recorded"`
	Dropped    map[string]uint64 `json:"dropped"`
	Unrecorded uint64            `json:"unrecorded"`
	NoSliver   uint64            `json:"no_sliver"`
	Unbalanced int               `json:"unbalanced"` // epochs of which seen is not the sum of the rest
	Alarms     []string          `json:"alarms"`
}

// accounts adds up a record that no daemon has open: a copy of a running one's.
func accounts(state string) error {
	s, _, err := open(state, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	head, _ := s.Head()
	out := account{Segments: head.Size, Dropped: map[string]uint64{}, Alarms: []string{}}
	var all audit.Leaves
	for n := range head.Size {
		p, err := s.ProveAccount(n)
		if err != nil {
			return err
		}
		for _, o := range p.Leaves {
			if err := all.Read(o.Leaf); err != nil {
				return err
			}
		}
	}
	for _, e := range all.Epochs {
		out.Epochs++
		out.Seen, out.Recorded, out.Unrecorded, out.NoSliver = out.Seen+e.Seen, out.Recorded+e.Recorded, out.Unrecorded+e.Unrecorded, out.NoSliver+e.NoSliver
		sum := e.Recorded + e.Unrecorded + e.NoSliver
		for reason, n := range e.Dropped {
			sum += n
			if n > 0 {
				out.Dropped[ebpf.Reason(reason).String()] += n
			}
		}
		if sum != e.Seen {
			out.Unbalanced++
		}
	}
	alarms, err := s.Alarms()
	for _, a := range alarms {
		out.Alarms = append(out.Alarms, a.String())
	}
	return errors.Join(err, show(out))
}
