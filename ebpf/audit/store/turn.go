// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
		return audit.Rolled{Number: e.Number}, nil
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
	s.records = append(s.records, r) // views hold shorter ones
	s.rows[r.Number] = true
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
	delete(s.rows, e.Number)
	if at := now.UnixNano(); e.Early && (s.early == 0 || at-s.early > int64(24*time.Hour)) {
		s.early = at
		s.raise(audit.NewAlarm(audit.AlarmBudget, ebpf.Epoch{At: at}, "rows until %s went for room: the budget is %d bytes",
			time.Unix(0, s.records[e.Number].Until).UTC().Format(time.RFC3339), s.opt.Budget))
	}
	return nil
}

// tidy forgets tenures of which no row is kept any more, when they are many.
func (s *Store) tidy(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil || s.held < 2*len(s.tenures)+1024 && len(s.tenures) < audit.MaxTenures/2 {
		return nil
	}
	live := s.tenures.EndedBefore(now.UnixNano() - int64(s.opt.Retention) - int64(slack))
	if s.held < 2*len(live)+1024 {
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

// close brings a complete segment into its closed form.
func (s *Store) close(number uint64) (audit.LogInput, error) {
	s.mu.Lock()
	o, tenures := s.open[0], s.tenures
	s.mu.Unlock()
	if o.number != number {
		return nil, fmt.Errorf("segment %d where %d belongs: %w", number, o.number, ErrCorrupt)
	}
	c, err := s.complete(o, tenures)
	if err != nil {
		return nil, err
	}
	tree := c.tree()
	root, err := tree.Root(tree.Size())
	if err != nil {
		return nil, err
	}
	r := c.segment(number, root)
	b := c.encode(r)
	path := closedPath(s.dir, number)
	f, err := whole(s.opt.disk, s.dir, path, b)
	if errors.Is(err, ErrDiskFull) {
		s.mu.Lock()
		given := s.reserve.give(int64(len(b)))
		s.mu.Unlock()
		if given {
			f, err = whole(s.opt.disk, s.dir, path, b)
		}
	}
	if err != nil {
		return nil, err
	}
	return audit.Written{Segment: r, Bytes: int64(len(b))}, f.Close()
}

// complete reads all that is in an open segment, and puts it in order.
func (s *Store) complete(o *openSegment, tenures audit.Tenures) (*content, error) {
	c := &content{rows: make([]ebpf.Flow, 0, o.rows)}
	if _, err := io.ReadFull(s.opt.random, c.secret[:]); err != nil {
		return nil, err
	}
	var series []seen
	newest := func(of uint64) uint64 {
		for _, o := range series {
			if o.Series == of {
				return o.Number
			}
		}
		return 0
	}
	_, err := read(o.path, magicOpen, o.size, nil, func(record []byte) error {
		v, err := decode(record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		switch v := v.(type) {
		case *state:
			series = v.Series
		case *ebpf.Epoch:
			c.rows = append(c.rows, v.Flows...)
			c.epochs = append(c.epochs, audit.EpochOf(*v))
			c.alarms = append(c.alarms, audit.AlarmsOf(*v, newest(v.Series))...)
			series = later(series, v)
		case *audit.Alarm:
			c.alarms = append(c.alarms, *v)
		}
		return nil
	})
	if errors.Is(err, errTorn) {
		err = fmt.Errorf("%s ends early: %w", o.path, ErrCorrupt)
	}
	if err != nil {
		return nil, err
	}
	sortRows(c.rows)
	for _, t := range tenures {
		if t.During(o.first-int64(slack), o.last+int64(slack)) {
			c.tenures = append(c.tenures, t)
		}
	}
	return c, nil
}

// Check holds the rows of a closed segment against the leaf of the log: whether
// one byte of what was committed to is another now. It returns ErrCorrupt then,
// and ErrGone when there are no rows to hold.
func (s *Store) Check(number uint64) error {
	_, _, err := s.rehash(number)
	return err
}

// rehash reads a closed segment and its tree, and holds them against the log.
func (s *Store) rehash(number uint64) (*content, *audit.Tree, error) {
	s.mu.Lock()
	failed, size := s.failed, uint64(len(s.records))
	var r audit.Segment
	if number < size {
		r = s.records[number]
	}
	s.mu.Unlock()
	switch {
	case failed != nil:
		return nil, nil, failed
	case number >= size:
		return nil, nil, fmt.Errorf("segment %d of %d: %w", number, size, ErrNotYet)
	}
	var n int64
	file, err := openClosed(closedPath(s.dir, number), &n)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("segment %d: %w", number, ErrGone)
	}
	if err != nil {
		return nil, nil, err
	}
	defer file.close()
	c, err := file.content()
	if err != nil {
		return nil, nil, err
	}
	tree := c.tree()
	root, err := tree.Root(tree.Size())
	if err != nil {
		return nil, nil, err
	}
	if file.segment != r || c.segment(number, root) != r {
		return nil, nil, fmt.Errorf("segment %d is not the one in the log: %w", number, ErrCorrupt)
	}
	return c, tree, nil
}
