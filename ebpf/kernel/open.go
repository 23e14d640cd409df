// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"croft/ebpf"
)

// Config says which node's guard it is and what its slivers may reach.
type Config struct {
	Tag       string         // names the pins
	BPFFS     string         // where the bpf file system is; empty: /sys/fs/bpf
	Opened    []netip.Prefix // opened although in closed ranges
	Closed    []netip.Prefix // closed besides: the node's own addresses
	Resolvers []netip.Addr   // at these, DNS is open
	MaxFlows  int            // rows of one epoch when the tables are made; 0: ebpf.MaxFlows
	Method    Method         // how programs are put at a device; empty: TCX where the kernel has it, else clsact

	testClock bool                    // packets are judged at test_now
	fault     func(step string) error // a test's crash before a step of Attach, Detach or Open
	without   uint32                  // checks that a benchmark leaves out (bpf/guard.bpf.c)
}

// Guard implements [ebpf.Guard].
type Guard struct {
	dir    string
	method Method
	clock  func() (int64, error)   // the programs' own
	fault  func(step string) error // before each step

	hooks   sync.Mutex // one Attach or Detach at a time; taken before mu
	mu      sync.Mutex // ports and everything that Attach, Update and Detach write
	ports   map[string]port
	objects *objects // nil when closed

	drain    sync.Mutex  // one drain at a time; taken before mu
	previous []*previous // other layouts whose last epochs are to be drained; under drain
}

var _ ebpf.Guard = (*Guard)(nil)

// port is a sliver that is attached, or half attached when a crash came between.
type port struct {
	tenure uint32
	record guardTenure
}

// objects are the guard's kernel objects.
type objects struct {
	Egress     *cebpf.Program  `ebpf:"guard_egress"`
	Ingress    *cebpf.Program  `ebpf:"guard_ingress"`
	Charge     *cebpf.Program  `ebpf:"guard_charge"`
	Carry      *cebpf.Program  `ebpf:"guard_carry"`
	Carries    *cebpf.Map      `ebpf:"carries"`
	Control    *cebpf.Map      `ebpf:"control"`
	Fans       *cebpf.Map      `ebpf:"fans"`
	FlowTables *cebpf.Map      `ebpf:"flow_tables"`
	Limits     *cebpf.Map      `ebpf:"limits"`
	Meters     *cebpf.Map      `ebpf:"meters"`
	Optouts    *cebpf.Map      `ebpf:"optouts"`
	Pages      *cebpf.Map      `ebpf:"pages"`
	Rules4     *cebpf.Map      `ebpf:"rules4"`
	Rules6     *cebpf.Map      `ebpf:"rules6"`
	Secrets    *cebpf.Map      `ebpf:"secrets"`
	Tallies    *cebpf.Map      `ebpf:"tallies"`
	Tenures    *cebpf.Map      `ebpf:"tenures"`
	TestNow    *cebpf.Variable `ebpf:"test_now"`
}

func (o *objects) program(d ebpf.Direction) *cebpf.Program {
	if d == ebpf.Egress {
		return o.Egress
	}
	return o.Ingress
}

func (o *objects) close() error {
	var errs []error
	for _, p := range []*cebpf.Program{o.Egress, o.Ingress, o.Charge, o.Carry} {
		errs = append(errs, p.Close())
	}
	for _, m := range []*cebpf.Map{o.Carries, o.Control, o.Fans, o.FlowTables, o.Limits, o.Meters, o.Optouts, o.Pages,
		o.Rules4, o.Rules6, o.Secrets, o.Tallies, o.Tenures} {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Words of the control map (bpf/maps.h).
const (
	controlEpoch  uint32 = 0
	controlKept   uint32 = 1
	controlSeries uint32 = 2
	controlTenure uint32 = 3
	controlRules  uint32 = 4
)

var directions = [...]ebpf.Direction{ebpf.Egress, ebpf.Ingress}

// Open makes a node's guard, or adopts the one that is pinned: its slivers run
// on under the limits in force, and from here on under this program.
func Open(cfg Config) (_ *Guard, err error) {
	dir, err := pinDir(cfg.BPFFS, cfg.Tag)
	if err != nil {
		return nil, err
	}
	rules, err := ebpf.NewRules(cfg.Opened, cfg.Closed, cfg.Resolvers)
	if err != nil {
		return nil, err
	}
	if err := needBPFFS(cfg.BPFFS); err != nil {
		return nil, err
	}
	spec, err := loadGuard()
	if err != nil {
		return nil, fmt.Errorf("reading the guard's object: %w", err)
	}
	own := layoutOf(spec)
	for _, d := range []string{filepath.Join(dir, links), filepath.Join(dir, own)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, explain("making "+d, err)
		}
	}
	o, err := load(cfg, spec.Copy(), filepath.Join(dir, own))
	if err != nil {
		return nil, err
	}
	g := &Guard{dir: dir, objects: o, ports: map[string]port{}, clock: func() (int64, error) { _, boot, err := clocks(); return boot, err }}
	defer func() {
		if err != nil {
			o.close()
			for _, p := range g.previous {
				p.close()
			}
		}
	}()
	if g.fault = cfg.fault; g.fault == nil {
		g.fault = func(string) error { return nil }
	}
	if cfg.testClock {
		g.clock = func() (now int64, err error) { return now, o.TestNow.Get(&now) }
	}
	if g.method, err = chooseMethod(cfg.Method, o.Egress); err != nil {
		return nil, explain("asking for TCX", err)
	}
	if err := g.prepareTables(cfg); err != nil {
		return nil, explain("preparing flow tables", err)
	}
	if err := errors.Join(writeRules(o, rules), g.rulesChanged()); err != nil {
		return nil, explain("writing closed ranges", err)
	}
	if err := errors.Join(g.list(), g.adopt()); err != nil {
		return nil, explain("adopting slivers", err)
	}
	others, err := otherLayouts(dir, own)
	if err != nil {
		return nil, explain("looking for other layouts", err)
	}
	for _, other := range others {
		p, err := openPrevious(other, spec)
		if err != nil {
			return nil, explain("opening layout "+other, err)
		}
		if p == nil {
			continue
		}
		g.previous = append(g.previous, p)
		if err := g.takeOver(p); err != nil {
			return nil, explain("taking slivers over from "+other, err)
		}
	}
	return g, nil
}

// load puts the programs into the kernel over the maps that are pinned at dir,
// pinning those that are not.
func load(cfg Config, spec *cebpf.CollectionSpec, dir string) (*objects, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, explain("raising the memory lock limit", err)
	}
	for name, m := range spec.Maps {
		if name[0] != '.' { // constants and test variables belong to one load
			m.Pinning = cebpf.PinByName
		}
	}
	if cfg.testClock {
		if err := spec.Variables["cfg_testclock"].Set(uint8(1)); err != nil {
			return nil, err
		}
	}
	if err := spec.Variables["cfg_without"].Set(cfg.without); err != nil {
		return nil, err
	}
	var o objects
	if err := spec.LoadAndAssign(&o, &cebpf.CollectionOptions{Maps: cebpf.MapOptions{PinPath: dir}}); err != nil {
		return nil, explain("loading the guard", err)
	}
	return &o, nil
}

// prepareTables gives both epochs a table and the maps a name. The name comes
// last: a crash before it starts over.
func (g *Guard) prepareTables(cfg Config) error {
	spec, err := loadGuard()
	if err != nil {
		return err
	}
	inner := spec.Maps[guardMapFlowTables].InnerMap
	if cfg.MaxFlows > 0 {
		inner.MaxEntries = min(uint32(cfg.MaxFlows), ebpf.MaxFlows)
	}
	for side := uint32(0); side < 2; side++ {
		table, err := g.table(side)
		if errors.Is(err, cebpf.ErrKeyNotExist) {
			table, err = cebpf.NewMap(inner)
		}
		if err != nil {
			return err
		}
		// For a table that is there this is swap's wait, which a crash may have cut.
		err = g.objects.FlowTables.Put(side, table)
		if err := errors.Join(err, table.Close()); err != nil {
			return err
		}
	}
	series, err := g.control(controlSeries)
	if err != nil || series != 0 {
		return err
	}
	var b [8]byte
	rand.Read(b[:])
	var keys [2 * 8 * 8]byte
	rand.Read(keys[:])
	return errors.Join(g.objects.Secrets.Put(uint32(0), keys[:]), g.setControl(controlEpoch, 1), g.setControl(controlKept, 0),
		g.setControl(controlSeries, binary.LittleEndian.Uint64(b[:])|1))
}

// list learns which slivers are attached.
func (g *Guard) list() error {
	return eachTenure(g.objects.Tenures, func(number uint32, t guardTenure) error {
		if t.Gone == 0 {
			g.ports[text(t.Sliver[:])] = port{number, t}
		}
		return nil
	})
}

// adopt puts this load's programs in the place of the running ones, each in one
// step.
func (g *Guard) adopt() error {
	for name, p := range g.ports {
		for _, d := range directions {
			if err := g.renew(name, p.record, d); err != nil {
				return fmt.Errorf("%s %s: %w", name, d, err)
			}
		}
	}
	return nil
}

// rulesChanged breaks the seals of all rows: destinations are asked for again.
func (g *Guard) rulesChanged() error {
	n, err := g.control(controlRules)
	if err != nil {
		return err
	}
	return g.setControl(controlRules, n+1)
}

// now is the boot clock, ns, as the programs read it.
func (g *Guard) now() (int64, error) { return g.clock() }

// wait returns when no program runs that began before: the kernel waits for
// readers when an array of maps is written, whatever is written.
func (g *Guard) wait() error {
	epoch, err := g.control(controlEpoch)
	if err != nil {
		return err
	}
	side := uint32(epoch & 1)
	table, err := g.table(side)
	if err != nil {
		return err
	}
	defer table.Close()
	return g.objects.FlowTables.Put(side, table)
}

func (g *Guard) control(word uint32) (v uint64, err error) {
	return v, g.objects.Control.Lookup(word, &v)
}

func (g *Guard) setControl(word uint32, v uint64) error { return g.objects.Control.Put(word, v) }

// Close lets go of the kernel objects. What is attached stays in force.
func (g *Guard) Close() error {
	g.drain.Lock()
	defer g.drain.Unlock()
	g.hooks.Lock()
	defer g.hooks.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.objects == nil {
		return nil
	}
	err := g.objects.close()
	for _, p := range g.previous {
		p.close()
	}
	g.objects, g.previous = nil, nil
	return err
}
