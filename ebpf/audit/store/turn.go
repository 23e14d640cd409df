// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease"
)

// Turn does what is due: it closes segments, appends their leaves to the log,
// signs a head with the node's key, and drops rows by age and budget. It returns
// the head to publish, if there is a new one. What cannot be done now, on a full
// disk say, is an error and due again with the next call. Appending and asking go
// on meanwhile. After the disk failed it opens the store again.
func (s *Store) Turn(ctx context.Context, now time.Time, key lease.Signer) (*audit.OpenedHead, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	var published *audit.OpenedHead
	var errs error
	failed := map[string]bool{}
	effects, err := s.tick(now)
	for err == nil && len(effects) > 0 {
		e := effects[0]
		effects = effects[1:]
		if p, ok := e.(audit.Publish); ok {
			published = &p.Head
			continue
		}
		if failed[kindOf(e)] {
			continue
		}
		if err = ctx.Err(); err != nil {
			break
		}
		done, doErr := s.do(e, now, key)
		switch {
		case errors.Is(doErr, ErrPoisoned) || errors.Is(doErr, ErrClosed):
			err = fmt.Errorf("%s: %w", kindOf(e), doErr)
		case doErr != nil:
			failed[kindOf(e)] = true
			errs = errors.Join(errs, fmt.Errorf("%s: %w", kindOf(e), doErr))
		default:
			effects, err = s.done(now, done)
		}
	}
	s.mu.Lock()
	if s.failed == nil {
		s.reserve.refill()
	}
	s.mu.Unlock()
	return published, errors.Join(errs, err, s.tidy(now))
}

// kindOf names an effect for a person, and those that fail together.
func kindOf(e audit.Effect) string {
	switch e := e.(type) {
	case audit.Roll:
		return "beginning a segment"
	case audit.Write:
		return "closing a segment"
	case audit.Append:
		return "appending to the log"
	case audit.Sign:
		return "signing a head"
	case audit.Keep:
		return "keeping a head"
	case audit.Drop:
		return fmt.Sprintf("dropping segment %d", e.Number)
	}
	return e.String()
}

func (s *Store) tick(now time.Time) ([]audit.Effect, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.failed, ErrPoisoned) {
		if err := s.reopen(); err != nil {
			return nil, err
		}
	}
	if s.failed != nil {
		return nil, s.failed
	}
	return s.log.Step(now, audit.Tick{Other: s.other()}), nil
}

// done tells the log what was done and returns what is due then.
func (s *Store) done(now time.Time, in audit.LogInput) ([]audit.Effect, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil, s.failed
	}
	return s.log.Step(now, in), nil
}

// other is the bytes of everything but closed segments.
func (s *Store) other() int64 {
	n := s.logFile.size + s.holders.size + s.reserve.size
	for _, o := range s.open {
		n += o.size
	}
	return n
}

// do carries one effect out and returns what says so.
func (s *Store) do(e audit.Effect, now time.Time, key lease.Signer) (audit.LogInput, error) {
	switch e := e.(type) {
	case audit.Roll:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[len(s.open)-1].number < e.Number { // else Append has done it meanwhile
			if err := s.roll(e.Number, now.UnixNano()); err != nil {
				return nil, err
			}
		}
		return audit.Rolled(e), nil
	case audit.Write:
		return s.close(e.Number)
	case audit.Append:
		return audit.Appended{Number: e.Segment.Number}, s.appendLeaf(e.Segment)
	case audit.Sign:
		h, err := audit.SealHead(e.Head, key)
		return audit.Signed{Head: h}, err
	case audit.Keep:
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.write(s.logFile, encodeHead(e.Head.Bytes)); err != nil {
			return nil, err
		}
		s.head = e.Head
		return audit.Kept{ID: e.Head.ID}, nil
	case audit.Drop:
		return audit.Dropped{Number: e.Number}, s.drop(e, now)
	}
	return nil, fmt.Errorf("%s: %w", e, errors.ErrUnsupported)
}

// appendLeaf makes a closed segment a leaf of the log, and its open form goes.
func (s *Store) appendLeaf(r audit.Segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(s.logFile, encodeSegment(r)); err != nil {
		return err
	}
	s.records, s.kept = append(s.records, r), append(s.kept, r) // views hold shorter ones
	path := s.open[0].path
	s.open = slices.Clone(s.open[1:])
	s.opt.disk.remove(path) // if it stays, Open takes it away
	return nil
}

// drop removes a segment's rows. What goes before its time is an alarm, once a day.
func (s *Store) drop(e audit.Drop, now time.Time) error {
	if err := s.opt.disk.remove(closedPath(s.dir, e.Number)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = slices.DeleteFunc(slices.Clone(s.kept), func(r audit.Segment) bool { return r.Number == e.Number })
	if at := now.UnixNano(); e.Early && (s.early == 0 || at-s.early > int64(24*time.Hour)) {
		s.early = at
		s.raise(audit.NewAlarm(audit.AlarmBudget, ebpf.Epoch{At: at}, "rows until %s went for room: the budget is %d bytes",
			time.Unix(0, s.records[e.Number].Until).UTC().Format(time.RFC3339), s.opt.Budget))
	}
	return nil
}

// tidy forgets tenures of which no row is kept any more, when they are many. As
// rows, none goes by a clock that has jumped: whose the rows are would be lost.
func (s *Store) tidy(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil || s.held < s.look || !s.log.Steady() {
		return nil
	}
	live := s.tenures.EndedBefore(now.UnixNano() - int64(s.opt.Retention) - int64(slack))
	if s.look = s.held + manyTenures; s.held < 2*len(live)+manyTenures {
		return nil
	}
	s.tenures = live
	if err := s.rewriteTenures(); err != nil {
		if !errors.Is(err, ErrDiskFull) {
			s.failed = fmt.Errorf("%w: %w", ErrPoisoned, err)
		}
		return fmt.Errorf("rewriting tenures: %w", err)
	}
	return nil
}
