// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/lease/sign"
)

// What a person says of a slice is kept in HOME/records/LABEL.json, that of all
// slices, on which devices stand, in HOME/records/@.json: the last record, which has
// the topics, and the grants that stand. It is on disk before anybody hears of it.
type published struct {
	Record []byte   `json:"record"`
	Grants [][]byte `json:"grants"`

	last   lease.OpenedSlice
	before []lease.Principal // nodes of the record before that
	grants []lease.Opened    // each a *lease.Grant
	topics []lease.Topic
}

// recordTerm is how long a record says something, if no grant lasts longer.
const recordTerm = 24 * time.Hour

const allSlices = "@" // in file names; no label has it

func (a *app) recordDir() string { return filepath.Join(a.home, "records") }

func (a *app) recordPath(label string) string {
	if label == "" {
		label = allSlices
	}
	return filepath.Join(a.recordDir(), label+".json")
}

// published reads what was said of a slice; nothing is no error.
func (a *app) published(label string) (*published, error) {
	p := &published{}
	path := a.recordPath(label)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(b, p)
	}
	if err == nil {
		p.last, err = lease.OpenSlice(p.Record)
		p.topics = p.last.Topics
	}
	for _, g := range p.Grants {
		o, bad := lease.Open(g)
		if err = errors.Join(err, bad); bad == nil {
			p.grants = append(p.grants, o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return p, nil
}

// standing are the grants that have not ended.
func (p *published) standing(now int64) (list []*lease.Grant, ids []lease.ID) {
	for _, o := range p.grants {
		if g := o.Statement.(*lease.Grant); g.Until > now {
			list, ids = append(list, g), append(ids, o.ID)
		}
	}
	return list, ids
}

// lets reports whether somebody may do one of the verbs.
func (p *published) lets(any lease.Verbs) bool {
	list, _ := p.standing(time.Now().Unix())
	return slices.ContainsFunc(list, func(g *lease.Grant) bool { return g.Verbs&any != 0 })
}

// next is the sequence of the next record: the time, so that it rises also when
// this file was lost.
func (p *published) next(now int64) uint64 { return max(p.last.Sequence+1, uint64(now)) }

// publish signs the next record of a slice and keeps it. edit changes the grants and topics before; term is how long the
// record says something at the least.
func (a *app) publish(ctx context.Context, key *sign.Key, label string, term time.Duration, edit func(p *published, sequence uint64) error) (*published, error) {
	unlock, err := a.lockRecords()
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := a.published(label)
	if err != nil {
		return nil, err
	}
	now := time.Now().Unix()
	sequence := p.next(now)
	p.grants = slices.DeleteFunc(p.grants, func(o lease.Opened) bool { return o.Statement.(*lease.Grant).Until <= now })
	if err := edit(p, sequence); err != nil {
		return nil, err
	}
	nodes, err := a.sliceHosts(label)
	if err != nil {
		return nil, err
	}
	r := lease.SliceRecord{Owner: key.Principal(), Slice: label, Sequence: sequence, Made: now,
		Until: max(p.last.Until, now+int64(term.Seconds())), Nodes: nodes[:min(len(nodes), lease.MaxSliceNodes)], Topics: p.topics}
	r.Until = min(r.Until, now+lease.MaxTerm)
	p.Grants = nil
	for _, o := range p.grants {
		r.Grants = append(r.Grants, o.ID)
		r.Until = max(r.Until, o.Statement.(*lease.Grant).Until)
		p.Grants = append(p.Grants, o.Signed.Bytes())
	}
	slices.SortFunc(r.Grants, func(a, b lease.ID) int { return bytes.Compare(a[:], b[:]) })
	if len(r.Grants) > lease.MaxGrants {
		return nil, usage("take one back with `croft slice revoke`", "%d grants would stand, limit %d", len(r.Grants), lease.MaxGrants)
	}
	p.before = p.last.Nodes
	if p.last, err = lease.SealSlice(r, key); err != nil {
		return nil, err
	}
	p.Record = p.last.Bytes
	if err := a.keepPublished(label, p); err != nil {
		return nil, err
	}
	return p, nil
}

func (a *app) keepPublished(label string, p *published) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	path := a.recordPath(label)
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("keeping the record of %q: %w", label, err)
	}
	return os.Rename(tmp, path)
}

// lockRecords keeps two commands from signing one sequence twice.
func (a *app) lockRecords() (unlock func(), err error) {
	if err := os.MkdirAll(a.recordDir(), 0o700); err != nil {
		return nil, err
	}
	d, err := os.Open(a.recordDir())
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", a.recordDir(), err), d.Close())
	}
	return func() { _ = d.Close() }, nil // which unlocks
}

// sliceHosts are the nodes on which a slice has slivers, as far as this person's
// files tell; without a label those of all slices.
func (a *app) sliceHosts(label string) (nodes []lease.Principal, err error) {
	labels := []string{label}
	if label == "" {
		labels = a.labels()
	}
	for _, l := range labels {
		rec, err := a.slice(l)
		var f *failure
		if errors.As(err, &f) && f.code == exitNothing {
			continue // it has ended, or has not begun
		}
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, nodesOf(rec)...)
	}
	return union(nodes), nil
}

// spread is who heard of a record.
type spread struct {
	Slice    string   `json:"slice"`
	Sequence uint64   `json:"sequence"`
	Told     int      `json:"told"`  // nodes of the slice
	Nodes    int      `json:"nodes"` // of how many
	Failed   []string `json:"failed,omitempty"`
	DHT      bool     `json:"dht"`
}

// tell gives a record to the nodes that it or the one before names, and to the
// DHT. Who does not hear it learns it from the DHT within half a
// minute of being asked to honour a grant.
func (a *app) tell(ctx context.Context, key *sign.Key, p *published) spread {
	nodes := union(p.last.Nodes, p.before)
	s := spread{Slice: p.last.Slice, Sequence: p.last.Sequence, Nodes: len(nodes)}
	t := target{key: key}
	results := make(chan error, len(nodes)+1)
	for _, node := range nodes {
		go func() {
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			n := a.node(t, node)
			defer n.Close()
			_, err := n.Tell(ctx, p.last.Bytes)
			if err != nil {
				err = &nodeError{node.Short(), err}
			}
			results <- err
		}()
	}
	if err := a.way().Publish(ctx, p.last.Bytes); err != nil {
		a.say("the DHT does not have it: %s", plain(err))
	} else {
		s.DHT = true
	}
	for range nodes {
		if err := <-results; err != nil {
			a.say("%s", plain(err))
			s.Failed = append(s.Failed, plain(err))
			continue
		}
		s.Told++
	}
	return s
}
