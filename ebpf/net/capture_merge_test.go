// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// asked is what a capture of that name may be.
func asked(name string) Recording { return Recording{Name: name, Packets: 3, Bytes: 10_000, Snap: 128} }

// sent is what a node sends: so many packets of a link type.
func sent(t testing.TB, link layers.LinkType, packets, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, link)
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: size, Length: size + i}
		err := w.WritePacketWithOptions(ci, make([]byte, size), pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// counts reads a merged file: packets by interface, and the interfaces.
func counts(t testing.TB, b []byte) (packets map[string]int, intfs []pcapgo.NgInterface) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	packets = map[string]int{}
	for {
		_, ci, _, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("what we wrote cannot be read: %v", err)
		}
		intf, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		packets[intf.Name]++
	}
	for i := range r.NInterfaces() {
		intf, err := r.Interface(i)
		if err != nil {
			t.Fatal(err)
		}
		intfs = append(intfs, intf)
	}
	return packets, intfs
}

func TestMergedHasAnInterfaceForEach(t *testing.T) {
	var out bytes.Buffer
	m := NewMerged(&out)
	for i, name := range []string{"a/1", "b/2"} {
		intf, err := m.Add(bytes.NewReader(sent(t, layers.LinkTypeEthernet, 2+i, 99)), asked(name))
		if err != nil || intf != i {
			t.Fatalf("%s is interface %d, %v", name, intf, err)
		}
		if err := m.End(intf, Recorded{Received: 9, Lost: uint64(i), Over: time.Unix(5, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	packets, intfs := counts(t, out.Bytes())
	if packets["a/1"] != 2 || packets["b/2"] != 3 || len(intfs) != 2 || intfs[1].Statistics.PacketsDropped != 1 || intfs[0].Statistics.PacketsReceived != 9 {
		t.Errorf("%v, %+v", packets, intfs)
	}
}

// What a node sends that is no capture, or more than was asked for, is refused;
// the file stays good.
func TestMergedBelievesNoNode(t *testing.T) {
	good := sent(t, layers.LinkTypeEthernet, 2, 99)
	twoLinks := append(bytes.Clone(good), sent(t, layers.LinkTypeRaw, 1, 10)...)
	for name, c := range map[string]struct {
		bytes   []byte
		packets int
		says    string
	}{
		"nothing":           {nil, 0, "EOF"},
		"text":              {[]byte("<html>"), 0, "other than pcapng"},
		"gzip":              {[]byte{0x1f, 0x8b, 8, 0, 0, 0}, 0, "other than pcapng"},
		"cut":               {good[:len(good)-5], 1, "EOF"},
		"no Ethernet":       {sent(t, layers.LinkTypeRaw, 1, 20), 0, "link type"},
		"too many":          {sent(t, layers.LinkTypeEthernet, 4, 20), 3, "more than 3 packets"},
		"too much":          {sent(t, layers.LinkTypeEthernet, 3, 70_000), 1, "EOF"},
		"another link type": {twoLinks, 2, "link type"},
	} {
		var out bytes.Buffer
		m := NewMerged(&out)
		if _, err := m.Add(bytes.NewReader(good), asked("good")); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Add(bytes.NewReader(c.bytes), asked("bad")); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.says)) {
			t.Errorf("%s: %v, want %s", name, err, c.says)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if packets, _ := counts(t, out.Bytes()); packets["good"] != 2 || packets["bad"] != c.packets {
			t.Errorf("%s: %v, want %d packets of the bad one", name, packets, c.packets)
		}
	}
}

func FuzzMerged(f *testing.F) {
	f.Add(sent(f, layers.LinkTypeEthernet, 2, 60))
	f.Add([]byte{0x0a, 0x0d, 0x0d, 0x0a})
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		m := NewMerged(&out)
		_, err := m.Add(bytes.NewReader(b), asked("n"))
		if end := m.Close(); end != nil {
			t.Fatal(end)
		}
		if m.out == nil {
			if err == nil {
				t.Fatal("nothing was written, and nothing was wrong")
			}
			return
		}
		if packets, _ := counts(t, out.Bytes()); packets["n"] > int(asked("n").Packets) {
			t.Fatalf("%v packets", packets)
		}
	})
}
