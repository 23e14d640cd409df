// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"croft/node/api"
)

// merged is one pcapng file of many captures at once, each an interface of its
// own. Packets are in it as they arrive here: each has its node's time, and
// reordercap sorts them.
type merged struct {
	mu  sync.Mutex
	to  io.Writer
	out *pcapgo.NgWriter // nil until the first capture has begun
}

func newMerged(w io.Writer) *merged { return &merged{to: w} }

// add copies a node's capture until its end, as an interface of that name. A
// node is believed no more than a stranger: it may send what was asked for, in
// bytes and packets, and nothing compressed.
func (m *merged) add(name string, r io.Reader, req api.CaptureRequest) (intf int, err error) {
	in := bufio.NewReader(io.LimitReader(r, int64(min(req.Bytes, 1<<40))+int64(req.Snap)+1<<16))
	if magic, err := in.Peek(4); err != nil {
		return 0, err
	} else if magic[0] != 0x0a { // a section header
		return 0, fmt.Errorf("the node sent something other than pcapng")
	}
	file, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
	if err != nil {
		return 0, fmt.Errorf("the node's capture: %w", err)
	}
	if intf, err = m.begin(name, req); err != nil {
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
		if err == nil && n == req.Packets {
			err = fmt.Errorf("more than %d packets", n)
		}
		if err != nil {
			return intf, fmt.Errorf("the node's capture: %w", err)
		}
		ci.InterfaceIndex = intf
		// When no more is at hand, who watches is to see it.
		if err := m.packet(ci, data, pcapgo.NgPacketOptions{Flags: opt.Flags}, in.Buffered() == 0); err != nil {
			return intf, err
		}
	}
}

func (m *merged) begin(name string, req api.CaptureRequest) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	intf := pcapgo.NgInterface{Name: name, Filter: req.Filter, OS: runtime.GOOS, LinkType: layers.LinkTypeEthernet, SnapLength: uint32(req.Snap),
		Description: "from the sliver as it sent, before the guard; towards it after guard and shaper"}
	if m.out != nil {
		return m.out.AddInterface(intf)
	}
	var err error
	m.out, err = pcapgo.NewNgWriterInterface(m.to, intf,
		pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{OS: runtime.GOOS, Application: "croft audit capture"}})
	if err == nil {
		err = m.out.Flush()
	}
	return 0, err
}

func (m *merged) packet(ci gopacket.CaptureInfo, data []byte, opt pcapgo.NgPacketOptions, flush bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.out.WritePacketWithOptions(ci, data, opt); err != nil || !flush {
		return err
	}
	return m.out.Flush()
}

// end writes what a node says of its capture.
func (m *merged) end(intf int, c api.Captured) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out.WriteInterfaceStats(intf, pcapgo.NgInterfaceStatistics{LastUpdate: c.Over, StartTime: c.Began, EndTime: c.Over,
		PacketsReceived: c.Received, PacketsDropped: c.Lost})
}

func (m *merged) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.out == nil { // none has begun
		return nil
	}
	return m.out.Flush()
}
