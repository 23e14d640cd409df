// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Merged is one pcapng file of what [Record] wrote elsewhere, many captures at
// once, each an interface of its own. Packets are in it as they arrive here: each
// has its node's time, and reordercap sorts them. Its methods may be called at
// once.
type Merged struct {
	mu  sync.Mutex
	to  io.Writer
	out *pcapgo.NgWriter // nil until the first capture has begun
}

// NewMerged makes a file of nothing yet.
func NewMerged(w io.Writer) *Merged { return &Merged{to: w} }

// Add copies a capture until its end, as an interface, and returns its number.
// Who sent it is believed no more than a stranger: it may be what was asked for,
// in bytes and packets, and nothing compressed.
func (m *Merged) Add(r io.Reader, asked Recording) (intf int, err error) {
	// Beside what is bounded: the last packet, the heads and the end.
	in := bufio.NewReader(io.LimitReader(r, int64(min(asked.Bytes, 1<<40))+int64(asked.Snap)+1<<16))
	if magic, err := in.Peek(4); err != nil {
		return 0, err
	} else if magic[0] != 0x0a { // a section header
		return 0, errors.New("something other than pcapng")
	}
	file, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
	if err != nil {
		return 0, fmt.Errorf("reading a capture: %w", err)
	}
	if intf, err = m.begin(asked); err != nil {
		return 0, err
	}
	for n := uint64(0); ; n++ {
		data, ci, opt, err := file.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return intf, nil
		}
		if err == nil && file.LinkType() != layers.LinkTypeEthernet {
			err = fmt.Errorf("link type %s", file.LinkType())
		}
		if err == nil && n == asked.Packets {
			err = fmt.Errorf("more than %d packets", n)
		}
		if err != nil {
			return intf, fmt.Errorf("reading a capture: %w", err)
		}
		ci.InterfaceIndex = intf
		// When no more is at hand, who watches is to see it.
		if err := m.packet(ci, data, pcapgo.NgPacketOptions{Flags: opt.Flags}, in.Buffered() == 0); err != nil {
			return intf, err
		}
	}
}

func (m *Merged) begin(asked Recording) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	intf := asked.describe()
	if m.out != nil {
		return m.out.AddInterface(intf)
	}
	var err error
	m.out, err = pcapgo.NewNgWriterInterface(m.to, intf, section)
	if err == nil {
		err = m.out.Flush()
	}
	return 0, err
}

func (m *Merged) packet(ci gopacket.CaptureInfo, data []byte, opt pcapgo.NgPacketOptions, flush bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.out.WritePacketWithOptions(ci, data, opt); err != nil || !flush {
		return err
	}
	return m.out.Flush()
}

// End writes how the capture of an interface ended.
func (m *Merged) End(intf int, r Recorded) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out.WriteInterfaceStats(intf, r.statistics())
}

// Close writes what was not written yet.
func (m *Merged) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.out == nil { // none has begun
		return nil
	}
	return m.out.Flush()
}
