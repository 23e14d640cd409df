// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// Record is a recorded row and the principal of the node that recorded it.
type Record struct {
	Node string
	audit.Row
}

// Records are what is written: after an error nothing follows.
type Records = iter.Seq2[Record, error]

// ErrRow is a row that the form cannot hold. The guard makes none.
var ErrRow = errors.New("row cannot be exported")

// check refuses what no node records and no form can hold.
func (r Record) check() error {
	for _, name := range []string{r.Node, r.Slice, r.Sliver} {
		if len(name) > maxName || !utf8.ValidString(name) {
			return fmt.Errorf("name %.20q: %w", name, ErrRow)
		}
	}
	src, dst := r.Src.Addr(), r.Dst.Addr()
	if src.BitLen() != dst.BitLen() || src.Zone() != "" || dst.Zone() != "" {
		return fmt.Errorf("from %s to %s: %w", src, dst, ErrRow)
	}
	if r.Direction > ebpf.Ingress {
		return fmt.Errorf("%s: %w", r.Direction, ErrRow)
	}
	return nil
}

// shape tells which fields a row has.
type shape uint8

const (
	shapePorts shape = iota // addresses and ports
	shapeICMP               // addresses, type, code and echo id
	shapeBare               // neither: ARP, inbound fragments and overflow, what the node moved
)

const (
	protoICMP   = 1
	protoTCP    = 6
	protoICMPv6 = 58
)

func (r Record) shape() shape {
	a := r.Src.Addr()
	switch {
	case !a.IsValid():
		return shapeBare
	case r.Proto == protoICMP && a.Is4(), r.Proto == protoICMPv6 && a.Is6():
		return shapeICMP
	}
	return shapePorts
}

// directions by their names on the command line.
var directions = [...]string{ebpf.Egress: "out", ebpf.Ingress: "in"}
