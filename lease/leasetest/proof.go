// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"croft/lease"
)

// Proof puts a proof together from statements of the drawing:
//
//	twice:0:1,2            kind, where the chain ends, evidence
//	over:0:1,2,3:cpu@1h    and the resource and the instant from Epoch
//	capacity::0,1          no chain
//
// Statements are named by position. What a rule orders by id comes in that order,
// or in the opposite one after an exclamation mark (twice!:0:1,2). A reject is
// followed by what it attaches, unless an exclamation mark follows it
// (refused:2:3!).
func (t Tree) Proof(line string) (p lease.Proof, err error) {
	parts := strings.Split(line, ":")
	if len(parts) < 3 || len(parts) > 4 {
		return p, fmt.Errorf("proof %q: want kind:chain:evidence", line)
	}
	kind, backwards := strings.CutSuffix(parts[0], "!")
	for p.K = lease.ProofTwice; p.K.String() != kind; p.K++ {
		if p.K > lease.ProofGrace {
			return p, fmt.Errorf("no kind of proof %q", kind)
		}
	}
	if parts[1] != "" {
		d, err := t.at(parts[1])
		if err != nil {
			return p, err
		}
		p.Chain = d.Chain()
	}
	if p.Evidence, err = t.evidence(p.K, strings.Split(parts[2], ","), backwards); err != nil || len(parts) == 3 {
		return p, err
	}
	name, at, ok := strings.Cut(parts[3], "@")
	if !ok {
		return p, fmt.Errorf("%q: want resource@instant", parts[3])
	}
	if p.Resource, err = lease.ParseResource(name); err == nil {
		p.At, err = instant(at)
	}
	return p, err
}

func (t Tree) at(position string) (*Drawn, error) {
	i, err := strconv.Atoi(position)
	if err != nil || i < 0 || i >= len(t) {
		return nil, fmt.Errorf("%q: want the position of a statement", position)
	}
	return t[i], nil
}

func (t Tree) evidence(k lease.ProofKind, positions []string, backwards bool) (out [][]byte, err error) {
	var drawn []*Drawn
	bare := false
	for _, at := range positions {
		at, bare = strings.CutSuffix(at, "!")
		d, err := t.at(at)
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, d)
	}
	byID := drawn
	switch k {
	case lease.ProofOver, lease.ProofRefused, lease.ProofGrace:
		byID = nil
	case lease.ProofUnfilled:
		byID = drawn[1:]
	}
	slices.SortFunc(byID, func(a, b *Drawn) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	if backwards {
		slices.Reverse(byID)
	}
	for _, d := range drawn {
		out = append(out, d.Signed.Bytes())
		if d.Kind() == lease.KindReject && !bare && (d.Attachment != nil || k == lease.ProofUnfilled) {
			out = append(out, d.Attachment)
		}
	}
	return out, nil
}

// filling is what draws on the claim: for each position the path below it.
func (t Tree) filling(claim lease.ID, positions string) ([]byte, error) {
	f := lease.Filling{}
	for _, at := range strings.Split(positions, ",") {
		if at == "none" {
			continue
		}
		d, err := t.at(at)
		if err != nil {
			return nil, err
		}
		var entry [][]byte
		for ; d != nil && d.ID != claim; d = d.Up {
			entry = append(entry, d.Signed.Bytes())
		}
		if d == nil {
			return nil, errors.New("fills= comes after about=, a claim above the draws")
		}
		slices.Reverse(entry)
		f = append(f, entry)
	}
	return f.Bytes(), nil
}
