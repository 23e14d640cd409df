// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"croft/lease/offer"
	"croft/node/api"
	"croft/node/client"
	"croft/node/role"
	"croft/sim/report"
	"croft/sim/scenario"
)

// hand has the owners of all nodes on which a slice runs decide the same of a role.
func (s *Stack) hand(do, job, name string) {
	s.mu.Lock()
	r := s.slices[name]
	s.mu.Unlock()
	if r == nil {
		return
	}
	wish := api.RoleWish{Do: do, Tenant: string(role.SliceTenant(name, r.key.Principal()))}
	s.all(r.hosts(), func(n *node) {
		w := n.owner()
		defer w.Close()
		ctx, cancel := context.WithTimeout(context.Background(), findLimit)
		defer cancel()
		what := do + " " + job
		if _, err := w.Decide(ctx, job, wish); err != nil {
			what += ": not done" // a node that has gone, or a sliver that was never there
		}
		s.figures.Lock()
		defer s.figures.Unlock()
		s.figures.Counter("roles", what).Add(s.now(), 1)
	})
}

// hosts are the nodes on which a slice has slivers, those that are up.
func (r *researcher) hosts() (list []*node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sl := range r.record.Slivers {
		if n, ok := r.s.keyed(sl.Node); ok && n.isUp() {
			list = append(list, n)
		}
	}
	return list
}

// owner is the way in at a node for the one whose it is.
func (n *node) owner() *client.Way {
	n.books.Lock()
	defer n.books.Unlock()
	return client.By(fmt.Sprint("node ", n.index), n.door.dial)
}

// tenancy is what is counted of who asks for a role.
type tenancy struct {
	took                    *report.Measure
	asked, answered, slices uint64
	lost                    uint64 // without an answer, though the node lived on
}

// ask has owners ask for a role, one after the other, at the nodes of a slice.
func (s *Stack) ask(do *scenario.Ask) {
	for i := range do.Count {
		s.in(time.Duration(i)*do.Every, func() {
			s.mu.Lock()
			r := s.slices[do.Slice]
			s.mu.Unlock()
			if r == nil {
				return
			}
			if hosts := r.hosts(); len(hosts) > 0 {
				s.inquire(do.Role, hosts[i%len(hosts)])
			}
		})
	}
}

// inquire asks one node, and counts what comes of it.
func (s *Stack) inquire(job string, n *node) {
	w := n.owner()
	defer w.Close()
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	n.books.Lock()
	life := n.door
	n.books.Unlock()
	began := s.now()
	by, err := s.question(ctx, w, job, n)
	n.books.Lock()
	lived := n.door == life
	n.books.Unlock()
	s.figures.Lock()
	defer s.figures.Unlock()
	t := s.figures.tenancy(job)
	switch {
	case err != nil && !lived: // in flight
	case err != nil:
		t.asked++
		t.lost++
		s.figures.Counter("roles", job+" unanswered: "+reason(err)).Add(s.now(), 1)
	default:
		t.asked++
		t.answered++
		t.took.Add(s.now(), int64(s.now()-began))
		if by != string(role.Builtin) {
			t.slices++
		}
	}
}

// question asks what a role is for, and says who answered.
func (s *Stack) question(ctx context.Context, w *client.Way, job string, n *node) (by string, err error) {
	other := n
	for other == n && len(s.nodes) > 1 {
		other = s.nodes[s.draw(len(s.nodes))]
	}
	of := map[string]any{"nodes": []map[string]any{{"node": other.key.Principal().String()}}}
	var answer map[string]any
	var a api.RoleAnswer
	switch job {
	case "discovery":
		res, err := w.Find(ctx, offer.FindRequest{Query: "cpu>=1 limit 20", View: true})
		if err == nil && res.Matched == 0 {
			err = errors.New("nobody was found")
		}
		return res.Tenant, err
	case "names":
		a, err = w.AskRole(ctx, job, "lookup", map[string]any{"name": "nobody"}, &answer)
	case "monitor":
		a, err = w.AskRole(ctx, job, "health", of, &answer)
	case "topology":
		a, err = w.AskRole(ctx, job, "near", of, &answer)
	case "bootstrap":
		a, err = w.AskRole(ctx, job, "contacts", map[string]any{"want": 4}, &answer)
	default:
		return "", fmt.Errorf("nobody asks for the role %s here", job)
	}
	return a.Tenant, err
}

// tenancy is the book of a role. It is called with the lock.
func (f *figures) tenancy(job string) *tenancy {
	t := f.tenancies[job]
	if t == nil {
		t = &tenancy{took: f.Measure("role", job)}
		f.tenancies[job] = t
	}
	return t
}

// close says what became of who asked. It is called with the lock.
func (t *tenancy) close(f *figures, job string) {
	f.Set("role", job, "lost", float64(t.lost))
	if t.asked > 0 {
		f.Set("role", job, "success", float64(t.answered)/float64(t.asked))
	}
	if t.answered > 0 {
		f.Set("role", job, "share", float64(t.slices)/float64(t.answered))
	}
}
