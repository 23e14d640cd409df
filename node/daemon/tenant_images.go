// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_images

package daemon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"

	"croft/lease"
	"croft/node/role"
	"croft/sandbox/swarm"
)

func init() {
	builtins["images"] = func(d *Daemon) tenant { return imagesTenant{d.deps.Key.Principal()} }
}

// imagesTenant is the built-in: those that asked this node for the image, and those
// that are to run it, in an order that differs from node to node, so that not all
// begin with the same ones. Holders name others that they know of.
type imagesTenant struct{ self lease.Principal }

// Call answers who has an image.
func (t imagesTenant) Call(_ context.Context, _ role.Call, ask json.RawMessage, part func(json.RawMessage) error) (json.RawMessage, error) {
	var a imagesAsk
	if err := exact(ask, &a); err != nil {
		return nil, &role.Failure{Code: "ask", Text: err.Error()}
	}
	nodes := append(slices.Clone(a.Known), t.turn(a)...)
	nodes = nodes[:min(len(nodes), swarm.MaxNamed)]
	b, err := json.Marshal(imagesPart{nodes})
	if err != nil {
		return nil, err
	}
	if err := part(b); err != nil {
		return nil, err
	}
	return json.RawMessage(`{}`), nil
}

// turn orders those that are to have it by a hash of this node and them.
func (t imagesTenant) turn(a imagesAsk) []lease.Principal {
	rank := func(p lease.Principal) []byte {
		h := sha256.New()
		h.Write(t.self[:])
		h.Write(a.Digest[:])
		h.Write(p[:])
		return h.Sum(nil)
	}
	list := slices.DeleteFunc(slices.Clone(a.Among), func(p lease.Principal) bool { return slices.Contains(a.Known, p) })
	slices.SortFunc(list, func(x, y lease.Principal) int { return bytes.Compare(rank(x), rank(y)) })
	return list
}
