// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"

	"croft/ebpf/audit"
	"croft/lease"
)

// keptHead is what a witness's file has of one node. The signatures in it are its
// checksums.
type keptHead struct {
	_     struct{} `cbor:",toarray"`
	Head  []byte   // signed; empty: none was kept
	First uint64
	Seen  int64
	Fork  []byte // a proof; empty: none is known
}

// maxKeptFile is the size in bytes of that file: a head of each node, and of some
// a fork.
const maxKeptFile = audit.MaxKept*(audit.MaxHead+64) + audit.MaxForks*audit.MaxProof

func writeKept(list []audit.Watch) []byte {
	kept := []keptHead{}
	for _, e := range list {
		k := keptHead{Head: []byte{}, Fork: []byte{}, First: e.First, Seen: e.Seen}
		if e.First > 0 {
			k.Head = e.Head.Bytes
		}
		if e.Fork != nil {
			k.Fork = e.Fork.Bytes()
		}
		if e.First > 0 || e.Fork != nil {
			kept = append(kept, k)
		}
	}
	b, err := lease.Encode(kept)
	if err != nil {
		panic(err) // lists of byte strings and numbers always encode
	}
	return b
}

func readKept(b []byte) (facts []audit.WitnessEffect, err error) {
	var kept []keptHead
	if err := lease.Decode(b, &kept, maxKeptFile); err != nil {
		return nil, err
	}
	for _, k := range kept {
		if len(k.Head) > 0 {
			h, err := audit.OpenHead(k.Head)
			if err != nil {
				return nil, err
			}
			facts = append(facts, audit.Remember{Head: h, First: k.First, Seen: k.Seen})
		}
		if len(k.Fork) > 0 {
			p, err := audit.ReadProof(k.Fork)
			if err != nil {
				return nil, err
			}
			f, ok := p.(*audit.Fork)
			if !ok {
				return nil, fmt.Errorf("%s where a fork belongs: %w", p.Kind(), lease.ErrKind)
			}
			facts = append(facts, audit.Accuse{Fork: f})
		}
	}
	return facts, nil
}
