// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/sha256"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/keep"
)

// samples make for each role a question that any tenant has an answer to and that nothing
// comes of. A role whose tenants cannot be asked so has nil, with the reason beside it.
var samples = map[string]func(*Daemon, context.Context) (inquiry, error){
	"discovery": (*Daemon).sampleFind,
	"images":    (*Daemon).sampleImage,
	"monitor": func(d *Daemon, ctx context.Context) (inquiry, error) {
		return d.health().inquiry(ctx, inquirer{own: true}, &healthAsk{Nodes: []measurement{{Node: d.somebody()}}})
	},
	"names": func(d *Daemon, ctx context.Context) (inquiry, error) {
		return d.lookup().inquiry(ctx, inquirer{own: true}, &lookupAsk{"croft"})
	},
	"topology": func(d *Daemon, ctx context.Context) (inquiry, error) {
		return d.near().inquiry(ctx, inquirer{own: true}, &nearAsk{Nodes: []place{{Node: d.somebody()}}})
	},
	"keeper": func(d *Daemon, ctx context.Context) (inquiry, error) {
		return d.keeping().inquiry(ctx, inquirer{own: true}, &keep.Question{Slice: "none", Want: 1})
	},
	"packets": func(d *Daemon, ctx context.Context) (inquiry, error) {
		c := d.program()
		c.whose = signedProgram // and no more: what is not asked for good is not loaded
		return c.inquiry(ctx, inquirer{own: true}, &programAsk{})
	},
	"updates": func(d *Daemon, ctx context.Context) (inquiry, error) {
		return d.which().inquiry(ctx, inquirer{own: true}, &whichAsk{})
	},
	"allocator": nil, // what it grants it may charge for, and refuse to the next
	"bootstrap": func(d *Daemon, ctx context.Context) (inquiry, error) {
		return d.contacts().inquiry(ctx, inquirer{own: true}, &contactsAsk{1})
	},
}

// somebody is a node that this one heard of, if it did of any.
func (d *Daemon) somebody() lease.Principal {
	own := d.deps.Key.Principal()
	for _, o := range d.view() {
		if o.Node != own {
			return o.Node
		}
	}
	return own
}

// sampleFind asks for any one node.
func (d *Daemon) sampleFind(context.Context) (inquiry, error) {
	req := offer.FindRequest{Query: "limit 1", View: true, Enough: 1}
	q, err := req.Parse()
	if err != nil {
		return inquiry{}, err
	}
	return d.seeking(q).inquiry(req, discovery{own: true})
}

// sampleImage asks who has an image that nobody has.
func (d *Daemon) sampleImage(context.Context) (inquiry, error) {
	return imagesAsk{Digest: lease.Digest(sha256.Sum256(nil)), Size: 1}.inquiry()
}
