// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"croft/ebpf"
	"croft/ebpf/ebpftest"
)

// value lays out a value of t by its fields' names.
func value(t *testing.T, of btf.Type, fields map[string]any) []byte {
	t.Helper()
	size, err := btf.Sizeof(of)
	must(t, err)
	b := make([]byte, size)
	left := maps.Clone(fields)
	for _, f := range fieldsOf(of) {
		v, ok := left[f.path]
		if !ok {
			continue
		}
		delete(left, f.path)
		if s, ok := v.(string); ok {
			copy(b[f.off:f.off+f.len], s)
			continue
		}
		var n [8]byte
		binary.NativeEndian.PutUint64(n[:], v.(uint64))
		copy(b[f.off:f.off+f.len], n[:])
	}
	if len(left) > 0 {
		t.Fatalf("no fields %v in %s", slices.Sorted(maps.Keys(left)), of.TypeName())
	}
	return b
}

// firstRelease is the guard as the first release left it when its daemon died:
// testdata/guard-first.o over its own maps, a sliver with a bucket of packets
// that fills once in a while, and both links.
func firstRelease(t *testing.T, w *world, at ebpf.Port, own ebpf.Addresses, packets uint64) {
	t.Helper()
	dir, err := pinDir("", w.cfg.Tag)
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(dir, links), 0o700))
	t.Cleanup(func() {
		if err := Destroy("", w.cfg.Tag); err != nil {
			t.Error(err)
		}
	})
	spec, err := cebpf.LoadCollectionSpec("testdata/guard-first.o")
	must(t, err)
	for name, m := range spec.Maps {
		if name[0] != '.' {
			m.Pinning = cebpf.PinByName
		}
	}
	c, err := cebpf.NewCollectionWithOptions(spec, cebpf.CollectionOptions{Maps: cebpf.MapOptions{PinPath: dir}})
	must(t, err)
	defer c.Close()
	for side := range uint32(2) {
		table, err := cebpf.NewMap(spec.Maps["flow_tables"].InnerMap)
		must(t, err)
		must(t, errors.Join(c.Maps["flow_tables"].Put(side, table), table.Close()))
	}
	for word, v := range map[uint32]uint64{controlEpoch: 5, controlKept: 4, controlSeries: 77, controlTenure: 3} {
		must(t, c.Maps["control"].Put(word, v))
	}
	const tenure = 3
	must(t, c.Maps["tenures"].Put(uint32(tenure), value(t, spec.Maps["tenures"].Value, map[string]any{
		".sliver": at.Sliver, ".netns": at.NetNS, ".place": uint64(at.Place), ".ifindex": uint64(at.IfIndex),
	})))
	b := ebpf.NewMeter(ebpf.Way{Rate: 1e10, Burst: 1 << 30, Packets: 1, PacketBurst: packets})
	limits := map[string]any{
		".deadline": uint64(w.Now() + 3600e9), ".tenure": uint64(tenure), ".mac": string(own.MAC[:]), ".source6": "",
		".source4": uint64(binary.NativeEndian.Uint32(own.Source4.AsSlice())),
	}
	for d := range directions {
		way := fmt.Sprintf(".ways[%d]", d)
		limits[way+".packets.rate"], limits[way+".packets.full"], limits[way+".packets.fill"] = b.Packets.Rate, b.Packets.Full, b.Packets.Fill
		limits[way+".bytes.rate"], limits[way+".bytes.full"], limits[way+".bytes.fill"] = b.Bytes.Rate, b.Bytes.Full, b.Bytes.Fill
		must(t, c.Maps["meters"].Put(guardMeterKey{Tenure: tenure, Way: uint32(d)}, value(t, spec.Maps["meters"].Value, map[string]any{
			".packets.level": b.Packets.Level, ".packets.last": uint64(w.Now()), ".bytes.level": b.Bytes.Level,
		})))
	}
	must(t, c.Maps["limits"].Put(uint32(at.IfIndex), value(t, spec.Maps["limits"].Value, limits)))
	w.in(at.NetNS, func() error {
		for d, kind := range map[ebpf.Direction]cebpf.AttachType{ebpf.Egress: cebpf.AttachTCXIngress, ebpf.Ingress: cebpf.AttachTCXEgress} {
			l, err := link.AttachTCX(link.TCXOptions{Interface: at.IfIndex, Program: c.Programs["guard_"+d.String()], Attach: kind})
			if err != nil {
				return err
			}
			if err := errors.Join(l.Pin(filepath.Join(dir, links, at.Sliver+"-"+d.String())), l.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

// A daemon of another version takes the slivers over, whatever step it is killed
// at: what a bucket had left is what is left, and every packet is in one epoch.
//
//	first release   30 of 100 ─┐ killed, upgraded
//	this one                   └─▶ 70 of 100, and no more
//	drain           series 77: 30 packets · own series: 70
func TestRootUpgradeCarriesLimits(t *testing.T) {
	crash := errors.New("crash")
	for n := 0; ; n++ {
		w := bareWorld(t, Config{Tag: testTag()})
		at, own, _ := w.NewPort("old")
		firstRelease(t, w, at, own, 100)
		w.Up(at)
		begun := w.Now()
		send := func(n int) int { return w.out(at, own, n) }
		if got := send(30); got != 30 {
			t.Fatalf("the first release passed %d of 30", got)
		}
		step, at2 := "", 0
		cfg := w.cfg
		cfg.fault = func(s string) error {
			if at2++; at2 <= n {
				return nil
			}
			step = s
			return crash
		}
		g, err := Open(cfg)
		if err == nil {
			must(t, g.Close())
		} else if !errors.Is(err, crash) {
			t.Fatal(err)
		}
		w.guard, err = Open(w.cfg)
		must(t, err)
		t.Cleanup(func() { w.guard.Close() })
		if names := w.guard.Slivers(); !slices.Equal(names, []string{"old"}) {
			t.Fatalf("crash before %q: slivers %v", step, names)
		}
		got, in := send(100), w.Send(at, ebpf.Ingress, ebpftest.Remote, netip.AddrPortFrom(own.Source4, 5000), 150, 100)
		late := int((w.Now()-begun)/1e9) + 1 // what the rate gives
		if got < 70 || got > 70+late || in < 100 || in > 100+late {
			t.Fatalf("crash before %q: %d out and %d in passed, want 70 and 100", step, got, in)
		}
		c, err := w.guard.Counters(t.Context(), "old")
		if err != nil || c.Egress.PassedPackets != uint64(30+got) || c.Ingress.PassedPackets != uint64(in) {
			t.Fatalf("crash before %q: %+v, %v", step, c, err)
		}
		var epochs []ebpf.Epoch
		must(t, w.guard.Drain(t.Context(), func(e ebpf.Epoch) error { epochs = append(epochs, e); return e.Identity.Check() }))
		if len(epochs) != 2 || epochs[0].Series != 77 || epochs[0].Number != 5 || epochs[0].Identity.Recorded != 30 || epochs[0].Flows[0].Sliver != "old" ||
			epochs[1].Series == 77 || epochs[1].Identity.Recorded != uint64(got+in) {
			t.Fatalf("crash before %q: epochs %+v", step, epochs)
		}
		if left, err := otherLayouts(w.guard.dir, ""); err != nil || len(left) != 1 {
			t.Fatalf("crash before %q: layouts %v, %v", step, left, err)
		}
		must(t, w.guard.Attach(t.Context(), at, w.limits(own)))
		if step == "" {
			if n < 10 {
				t.Fatalf("only %d steps", n)
			}
			return
		}
	}
}

func TestRootLayoutsThatCannotBeReadAreRefused(t *testing.T) {
	needRoot(t)
	w := bareWorld(t, Config{Tag: testTag()})
	dir, err := pinDir("", w.cfg.Tag)
	must(t, err)
	other := filepath.Join(dir, mapsPrefix+"00000000")
	must(t, os.MkdirAll(other, 0o700))
	t.Cleanup(func() { Destroy("", w.cfg.Tag) })
	m, err := cebpf.NewMap(&cebpf.MapSpec{Type: cebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(t, err)
	must(t, errors.Join(m.Pin(filepath.Join(other, guardMapTenures)), m.Close()))
	if g, err := Open(w.cfg); !errors.Is(err, ErrIncompatible) {
		t.Fatalf("%v, %v", g, err)
	}
	// A removal that was cut short is finished.
	must(t, os.Remove(filepath.Join(other, guardMapTenures)))
	g, err := Open(w.cfg)
	must(t, err)
	must(t, g.Close())
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is still there: %v", other, err)
	}
}
