// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_images

package daemon

import (
	"encoding/json"
	"slices"
	"testing"

	"croft/lease/leasetest"
	"croft/node/role"
)

// The built-in answers the questions of testdata/images.json as any tenant must.
func TestTheBuiltinKnowsWhoHasImages(t *testing.T) {
	call, _ := role.Images().Call("holders")
	for _, c := range imagesCases(t) {
		r := &imagesReading{}
		end, err := imagesTenant{leasetest.Who("node")}.Call(t.Context(), call, c.Ask, func(b json.RawMessage) error { return r.part(b) })
		if (err != nil) != c.Error {
			t.Errorf("%s: %v", c.Name, err)
		}
		if err != nil {
			continue
		}
		if _, err := r.end(end); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		for _, n := range c.Names {
			if !slices.Contains(r.nodes, n) {
				t.Errorf("%s: it does not name %s", c.Name, n)
			}
		}
	}
}

// Nodes do not all begin with the same one.
func TestTheOrderDiffersFromNodeToNode(t *testing.T) {
	a := imagesAsk{}
	for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		a.Among = append(a.Among, leasetest.Who(n))
	}
	first := map[string]bool{}
	for _, n := range a.Among {
		first[imagesTenant{n}.turn(a)[0].String()] = true
	}
	if len(first) < 3 {
		t.Errorf("eight nodes begin with %d", len(first))
	}
}
