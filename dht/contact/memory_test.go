// SPDX-License-Identifier: Apache-2.0

package contact

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"croft/lease"
)

const gap = 5 * time.Minute

func TestTheMemoryKeepsWhoStaysLongest(t *testing.T) {
	m := NewMemory(false)
	all := some(0, 100)
	for i := range 100 { // node i is there from minute i on
		m.Saw(began.Add(time.Duration(i)*time.Minute), all[:i+1], gap)
	}
	kept := m.Contacts()
	if len(kept) != MaxContacts || kept[0].Node != all[0].Node || kept[63].Node != all[63].Node {
		t.Fatalf("%d kept, first %v, last %v", len(kept), kept[0], kept[len(kept)-1])
	}
	// Who was away begins anew, who moved is where he is now.
	moved := all[0]
	moved.Addrs = []string{"/ip4/198.51.100.1/tcp/4001"}
	m.Saw(began.Add(3*time.Hour), append([]Contact{moved}, all[1:3]...), gap)
	for i, c := range m.Contacts() {
		if c.Node == moved.Node && (c.Addrs[0] != moved.Addrs[0] || i == 0) {
			t.Errorf("at %d: %v", i, c)
		}
	}
	m.Saw(began.Add(Forgotten+2*time.Hour), nil, gap)
	if kept := m.Contacts(); len(kept) != 3 {
		t.Errorf("%d kept after %s", len(kept), Forgotten)
	}
}

// Nobody fills the memory out of one network, unless networks do not count.
func TestTheMemoryIsOfManyNetworks(t *testing.T) {
	m, lan := NewMemory(true), NewMemory(false)
	crowd := some(0, 60)
	for i := range 3 {
		m.Saw(began.Add(time.Duration(i)*time.Minute), crowd, gap)
		lan.Saw(began.Add(time.Duration(i)*time.Minute), crowd, gap)
	}
	m.Saw(began.Add(3*time.Minute), some(250, 4), gap)
	if a, b := len(m.Contacts()), len(lan.Contacts()); a != PerNetwork+4 || b != 60 {
		t.Errorf("%d and %d kept", a, b)
	}
}

func TestTheMemoryIsRead(t *testing.T) {
	m := NewMemory(false)
	m.Saw(began, some(0, 3), gap)
	m.Saw(began.Add(time.Minute), some(0, 2), gap)
	written, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	now := began.Add(time.Hour)
	same := NewMemory(false)
	if err := same.Read(now, written); err != nil {
		t.Fatal(err)
	}
	if again, _ := same.Bytes(); !bytes.Equal(again, written) {
		t.Errorf("read back:\n%s\nwritten:\n%s", again, written)
	}
	good := strings.SplitAfter(string(written), "\n")[0]
	for what, line := range map[string]string{
		"no JSON":             "{\"node\":",
		"the same again":      good,
		"no address":          strings.Replace(good, `["/ip4/192.0.0.1/tcp/4001"]`, `[]`, 1),
		"too many":            strings.Replace(good, `"/ip4`, `"/a","/b","/c","/d","/ip4`, 1),
		"a long one":          strings.Replace(good, `/ip4`, "/"+strings.Repeat("x", MaxAddr), 1),
		"what is no address":  strings.Replace(good, `"/ip4`, `"\u001b[2J/ip4`, 1),
		"of the future":       strings.Replace(good, `"seen":18`, `"seen":28`, 1),
		"seen before it came": strings.Replace(good, `"since":18`, `"since":28`, 1),
		"a list":              `[1,2,3]`,
	} {
		m := NewMemory(false)
		if what == "the same again" {
			line = good + line
		} else if line == good {
			t.Fatalf("%s: the line was not altered", what)
		}
		err := m.Read(now, []byte(line+"\n"+strings.SplitAfter(string(written), "\n")[1]))
		want := 1
		if what == "the same again" {
			want = 2
		}
		if !errors.Is(err, ErrMemory) || len(m.Contacts()) != want {
			t.Errorf("%s: %v, %d kept", what, err, len(m.Contacts()))
		}
	}
	if err := NewMemory(false).Read(now, make([]byte, MaxMemory+1)); !errors.Is(err, ErrMemory) {
		t.Errorf("too much of it: %v", err)
	}
}

// The largest memory that can be written can be read.
func TestTheLargestMemoryFits(t *testing.T) {
	m := NewMemory(false)
	var all []Contact
	for i := range MaxContacts {
		c := Contact{Node: lease.Principal{255, byte(i + 1)}}
		for len(c.Addrs) < MaxAddrs {
			c.Addrs = append(c.Addrs, "/"+strings.Repeat("x", MaxAddr-1))
		}
		all = append(all, c)
	}
	m.Saw(began, all, gap)
	b, err := m.Bytes()
	if err == nil {
		err = NewMemory(false).Read(began, b)
	}
	if err != nil || len(m.Contacts()) != MaxContacts {
		t.Errorf("%d of %d bytes: %v", len(b), MaxMemory, err)
	}
}

func FuzzMemory(f *testing.F) {
	m := NewMemory(false)
	m.Saw(began, some(0, 2), gap)
	b, _ := m.Bytes()
	f.Add(b)
	f.Add([]byte("{}\n[]\n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := NewMemory(true)
		_ = m.Read(began, b)
		list := m.Contacts()
		if len(list) > MaxContacts {
			t.Fatalf("%d contacts", len(list))
		}
		for _, c := range list {
			if !c.Fits() {
				t.Fatalf("%v", c)
			}
		}
		written, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again := NewMemory(true)
		if err := again.Read(began, written); err != nil || len(again.Contacts()) != len(list) {
			t.Fatalf("%d of %d read again, %v", len(again.Contacts()), len(list), err)
		}
	})
}
