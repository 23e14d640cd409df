// SPDX-License-Identifier: Apache-2.0

// Package desk answers a service on a person's machine as a door answers one in a
// sliver: the same routes, on a socket of its own, out of the node behind the person's
// socket, which may be a visitor.
//
//	service ──▶ Desk ──▶ way in ──▶ the overlay
//	              └─ signs with the person's key
//
// What a sliver may by its slice's record, the service may as the slice's owner. It has
// no lease and no guard: its lease ends never, and nothing is counted of it.
//
//	d := desk.Desk{Way: client.New(socket), Key: key, Label: "pulse"}
//	err := d.Serve(ctx, listener)
//
// A Desk is safe for concurrent use.
package desk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"time"

	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/client"
)

// Desk is one service's, of a slice of the person's.
type Desk struct {
	Way   *client.Way
	Key   lease.Signer
	Label string

	stamp api.Stamp
}

// sliver is what a service on a desktop is called.
const sliver = "desk"

// closeLimit is the time of requests under way when the desk goes.
const closeLimit = time.Second

// Serve serves until ctx ends, and closes the listener.
func (d *Desk) Serve(ctx context.Context, l net.Listener) error {
	s := api.Server(api.Door(d, "desk"))
	s.BaseContext = func(net.Listener) context.Context { return ctx }
	over := make(chan error, 1)
	go func() { over <- s.Serve(l) }()
	select {
	case err := <-over:
		return fmt.Errorf("serving at %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	err := s.Shutdown(late)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close()
	}
	if served := <-over; err == nil && !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	return err
}

// Self is who the service is, and which node it asks.
func (d *Desk) Self(ctx context.Context) (api.Self, error) {
	node, err := d.Way.Status(ctx)
	if err != nil {
		return api.Self{}, unreachable(err)
	}
	owner := d.Key.Principal()
	return api.Self{Sliver: sliver, Slice: d.Label + "@" + owner.String(), Label: d.Label, Owner: owner, Node: node.Node, Name: node.Name, Shim: api.ShimVersion}, nil
}

// OwnSlivers is the service alone: the slice's slivers are on other machines.
func (d *Desk) OwnSlivers(ctx context.Context) ([]api.OwnSliver, error) {
	self, err := d.Self(ctx)
	return []api.OwnSliver{{Sliver: sliver, Node: self.Node, State: "running", Self: true}}, err
}

// Lease has no end: Until is 0.
func (d *Desk) Lease(context.Context) (api.OwnLease, error) {
	return api.OwnLease{State: lease.Active.String()}, nil
}

// OwnLeases yields it once: it never changes.
func (d *Desk) OwnLeases(ctx context.Context) iter.Seq2[api.OwnLease, error] {
	return func(yield func(api.OwnLease, error) bool) {
		if l, err := d.Lease(ctx); yield(l, err) {
			<-ctx.Done()
		}
	}
}

// Find asks as the person would.
func (d *Desk) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	r, err := d.Way.Find(ctx, req)
	r.Tenant, r.Instead = "", ""
	return r, unreachable(err)
}

// Seek is Find as it is found.
func (d *Desk) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	r, err := d.Way.Seek(ctx, req, tell)
	r.Tenant, r.Instead = "", ""
	return r, unreachable(err)
}

// Offers are those that the node finds and that were made since: when they came to it
// is not known here.
func (d *Desk) Offers(ctx context.Context, since int64, tell func(offer.Found) error) error {
	_, err := d.Way.Seek(ctx, offer.FindRequest{View: true}, func(f offer.Found) error {
		if f.Offer.Made < since {
			return nil
		}
		return tell(f)
	})
	return unreachable(err)
}

// unreachable says that the node is, unless it answered.
func unreachable(err error) error {
	var answered *client.Problem
	if err == nil || errors.As(err, &answered) {
		return err
	}
	return fmt.Errorf("%w: %w", api.ErrUnreachable, err)
}

// named is the topic that is meant: without an owner one of the slice.
func (d *Desk) named(name topic.Name) topic.Name {
	if name.Owner.IsZero() {
		name.Owner, name.Slice = d.Key.Principal(), d.Label
	}
	return name
}

// Publish says something with the person's key.
func (d *Desk) Publish(ctx context.Context, name topic.Name, data []byte) (api.Said, error) {
	name = d.named(name)
	if err := d.open(ctx, name); err != nil {
		return api.Said{}, err
	}
	m, err := topic.Seal(topic.Message{Author: d.Key.Principal(), Owner: name.Owner, Slice: name.Slice, Topic: name.Topic, Made: d.stamp.Next(time.Now()), Data: data}, d.Key)
	if err != nil {
		return api.Said{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return d.Say(ctx, m.Bytes)
}

// open is an error for a topic of another slice on which not anybody may publish: the
// service is this slice's, and what others let the person is not its.
func (d *Desk) open(ctx context.Context, name topic.Name) error {
	if name.Owner == d.Key.Principal() && name.Slice == d.Label {
		return nil
	}
	b, err := d.Way.Record(ctx, name.Owner, name.Slice)
	if err != nil {
		return unreachable(err)
	}
	r, err := lease.OpenSlice(b)
	switch {
	case err != nil:
		return fmt.Errorf("reading the record of %s: %w", name, err)
	case r.Owner != name.Owner || r.Slice != name.Slice || !r.Holds(time.Now().Unix()):
		return fmt.Errorf("slice %q@%s: %w", name.Slice, name.Owner.Short(), api.ErrNoRecord)
	case !r.AnybodyMay(name.Topic):
		return fmt.Errorf("%w publish on this topic: of another slice a service may where anybody may", api.ErrNotGranted)
	}
	return nil
}

// Say tells a message that somebody signed.
func (d *Desk) Say(ctx context.Context, message []byte) (api.Said, error) {
	said, err := d.Way.Say(ctx, message)
	return said, unreachable(err)
}

// Hear subscribes at the node.
func (d *Desk) Hear(ctx context.Context, name topic.Name, ready func()) iter.Seq2[api.Heard, error] {
	return func(yield func(api.Heard, error) bool) {
		heard, err := d.Way.Hear(ctx, d.named(name))
		if err != nil {
			yield(api.Heard{}, unreachable(err))
			return
		}
		ready()
		heard(func(m api.Heard, err error) bool { return yield(m, unreachable(err)) })
	}
}

// Counted is nothing: no guard counts the service.
func (d *Desk) Counted(context.Context) (api.Figures, error) {
	return api.Figures{}, fmt.Errorf("%w: nothing is counted on a desktop", api.ErrNotRunning)
}

// Paths are those to the node's neighbours, as it measures them for the person.
func (d *Desk) Paths(ctx context.Context) ([]api.Path, error) {
	n, err := d.Way.Net(ctx)
	if err != nil {
		return nil, unreachable(err)
	}
	list := []api.Path{}
	for _, p := range n.Peers {
		if p.Node.IsZero() || len(list) == api.MaxPaths {
			continue
		}
		path := api.Path{Node: p.Node, Name: p.Name, Way: "relayed", RTT: p.RTT, Asked: 1}
		if p.Direct {
			path.Way = "direct"
		}
		if p.RTT == 0 {
			path.Missed, path.Loss = 1, 1
		}
		list = append(list, path)
	}
	return list, nil
}

// Path is that to one node.
func (d *Desk) Path(ctx context.Context, node lease.Principal) (api.Path, error) {
	list, err := d.Paths(ctx)
	for _, p := range list {
		if p.Node == node {
			return p, nil
		}
	}
	return api.Path{Node: node, Way: "none"}, err
}
