// SPDX-License-Identifier: Apache-2.0

package export

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"croft/ebpf"
)

// IPFIX writes rows as messages of RFC 7011, one after the other, as RFC 5655
// has them in a file; at is the time of the export. Each node is an observation
// domain, numbered from 1 in the order in which they come, with its principal
// as observationDomainName.
//
//	message   header: length, export time, sequence number, domain
//	          sets: templates (first message of a domain), records
//	          at the end, of each domain: how many messages, rows and octets
//
// The observation point is the sliver's own interface, so that flowDirection 1
// (egress) is from the sliver. A file has no loss and needs no templates again.
func IPFIX(w io.Writer, at time.Time, rows Records) error {
	x := exporter{w: w, at: uint32(at.Unix()), domains: map[string]*domain{}}
	for r, err := range rows {
		if err != nil {
			return err
		}
		if err := x.row(r); err != nil {
			return fmt.Errorf("exporting a row of %s as IPFIX: %w", r.Sliver, err)
		}
	}
	if err := x.send(); err != nil {
		return err
	}
	for _, d := range x.order {
		if err := x.count(d); err != nil {
			return err
		}
	}
	return nil
}

// A domain is one node: RFC 7011 counts by it.
type domain struct {
	id                      uint32
	node                    string
	sequence                uint32 // data records sent before this message
	messages, flows, octets uint64 // sent
}

type exporter struct {
	w       io.Writer
	at      uint32
	domains map[string]*domain
	order   []*domain

	// The message being made, empty between two.
	now     *domain
	b       []byte
	set     int    // where the last set begins
	id      uint16 // of the last set
	records uint32 // data records, options' among them
	flows   uint64
	scratch []byte
}

const (
	messageHeader = 16
	setHeader     = 4
)

// row appends one row to a message of its node.
func (x *exporter) row(r Record) error {
	if err := r.check(); err != nil {
		return err
	}
	t, b, err := encodeRow(x.scratch[:0], r)
	if err != nil {
		return err
	}
	x.scratch = b
	if err := x.enter(r.Node); err != nil {
		return err
	}
	if err := x.append(t.id, b); err != nil {
		return err
	}
	x.flows++
	return nil
}

// enter makes a node's domain the one of the message.
func (x *exporter) enter(node string) error {
	if x.now != nil && x.now.node == node {
		return nil
	}
	if err := x.send(); err != nil {
		return err
	}
	d := x.domains[node]
	if d != nil {
		x.now = d
		return nil
	}
	if len(x.order) == maxDomains {
		return fmt.Errorf("more than %d nodes: %w", maxDomains, ErrRow)
	}
	d = &domain{id: uint32(len(x.order) + 1), node: node}
	x.domains[node], x.order, x.now = d, append(x.order, d), d
	return x.introduce()
}

// introduce opens a domain: templates, what our elements are, and whose it is.
func (x *exporter) introduce() error {
	x.begin()
	for _, list := range []struct {
		set       uint16
		templates []template
	}{{2, templates}, {3, options}} {
		x.open(list.set)
		for _, t := range list.templates {
			x.b = t.append(x.b)
		}
		x.close()
	}
	for _, e := range private {
		b := binary.BigEndian.AppendUint32(nil, enterprise)
		b = binary.BigEndian.AppendUint16(b, e.id)
		b = append(b, e.kind, e.meaning)
		b = appendString(appendString(b, e.name), e.describe)
		if err := x.append(typeOptions.id, b); err != nil {
			return err
		}
	}
	return x.append(domainOptions.id, appendString(binary.BigEndian.AppendUint32(nil, x.now.id), x.now.node))
}

// count closes a domain with the exporting process's statistics.
func (x *exporter) count(d *domain) error {
	x.now = d
	b := binary.BigEndian.AppendUint32(nil, d.id)
	b = binary.BigEndian.AppendUint64(b, d.messages)
	b = binary.BigEndian.AppendUint64(b, d.flows)
	b = binary.BigEndian.AppendUint64(b, d.octets)
	if err := x.append(countOptions.id, b); err != nil {
		return err
	}
	return x.send()
}

// append puts a record into a set of its template, in this message or the next.
func (x *exporter) append(id uint16, record []byte) error {
	if len(x.b) > 0 && len(x.b)+setHeader+len(record) > maxMessage {
		d := x.now
		if err := x.send(); err != nil {
			return err
		}
		x.now = d
	}
	x.begin()
	if x.id != id {
		x.close()
		x.open(id)
	}
	x.b = append(x.b, record...)
	x.records++
	return nil
}

func (x *exporter) begin() {
	if len(x.b) == 0 {
		x.b = append(x.b[:0], make([]byte, messageHeader)...)
	}
}

func (x *exporter) open(id uint16) {
	x.set, x.id = len(x.b), id
	x.b = binary.BigEndian.AppendUint16(x.b, id)
	x.b = binary.BigEndian.AppendUint16(x.b, 0)
}

// close writes the length of the last set, if one is open.
func (x *exporter) close() {
	if x.id != 0 {
		binary.BigEndian.PutUint16(x.b[x.set+2:], uint16(len(x.b)-x.set))
		x.id = 0
	}
}

// send writes the message, if there is one, and leaves the domain.
func (x *exporter) send() error {
	if len(x.b) == 0 {
		x.now = nil
		return nil
	}
	x.close()
	d := x.now
	binary.BigEndian.PutUint16(x.b, 10) // the version
	binary.BigEndian.PutUint16(x.b[2:], uint16(len(x.b)))
	binary.BigEndian.PutUint32(x.b[4:], x.at)
	binary.BigEndian.PutUint32(x.b[8:], d.sequence)
	binary.BigEndian.PutUint32(x.b[12:], d.id)
	if _, err := x.w.Write(x.b); err != nil {
		return fmt.Errorf("writing IPFIX: %w", err)
	}
	d.sequence += x.records
	d.messages++
	d.flows += x.flows
	d.octets += uint64(len(x.b))
	x.now, x.b, x.records, x.flows = nil, x.b[:0], 0, 0
	return nil
}

// encodeRow appends a row as a data record and returns its template.
func encodeRow(b []byte, r Record) (template, []byte, error) {
	t := bare
	six := r.Src.Addr().Is6()
	if kind := r.shape(); kind == shapeBare {
		b = binary.BigEndian.AppendUint16(b, r.Src.Port())
	} else {
		b = append(b, r.Src.Addr().AsSlice()...)
		b = append(b, r.Dst.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, r.Src.Port()) // of ICMP: type and code
		b = binary.BigEndian.AppendUint16(b, r.Dst.Port()) // of ICMP: identifier
		switch {
		case kind == shapeICMP && six:
			t = icmp6
		case kind == shapeICMP:
			t = icmp4
		case six:
			t = ports6
		default:
			t = ports4
		}
		if kind == shapePorts {
			b = binary.BigEndian.AppendUint16(b, uint16(r.TCPFlags))
		}
	}
	way := byte(0)
	if r.Direction == ebpf.Egress {
		way = 1
	}
	b = append(b, r.Proto, way)
	b = binary.BigEndian.AppendUint64(b, r.Packets)
	b = binary.BigEndian.AppendUint64(b, r.Bytes)
	for _, ns := range []int64{r.First, r.Last} {
		stamp, err := ntp(ns)
		if err != nil {
			return t, b, err
		}
		b = binary.BigEndian.AppendUint64(b, stamp)
	}
	return t, appendString(appendString(b, r.Slice), r.Sliver), nil
}

// ntp makes a dateTimeNanoseconds (RFC 7011, section 6.1.10): seconds since
// 1900 in 32 bits and a fraction of 2^-32 s, rounded up, so that the nanosecond
// can be read again by cutting. The seconds begin anew in 2036; by RFC 4330,
// section 3, times from 1968 to 2104 are still told apart.
func ntp(ns int64) (uint64, error) {
	const since1900, again = 2_208_988_800, 1 << 32
	if sec := ns / 1e9; ns >= 0 && sec+since1900 < again+1<<31 {
		return uint64(uint32(sec+since1900))<<32 | (uint64(ns%1e9)<<32+1e9-1)/1e9, nil
	}
	return 0, fmt.Errorf("time %d ns: %w", ns, ErrRow)
}
