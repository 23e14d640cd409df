// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// sections name what an object may have a program for.
var sections = map[string]way{"cgroup_skb/egress": out, "cgroup_skb/ingress": in}

// way is a direction, as the sliver sees it.
type way int

const (
	out  way = iota // what a socket of the sliver's sends
	in              // what it is to get
	ways = 2
)

func (w way) String() string { return [...]string{"out", "in"}[w] }

// object is what an ELF file holds of a packet program, stripped of everything else:
// no names to pin by, no debugging and type information, no relocations.
type object struct {
	code [ways]asm.Instructions // nil: it has nothing to say about that way
	maps map[string]*cebpf.MapSpec
}

// Check reads an object and holds it against everything but the kernel's verifier. The
// error is [ErrProgram]. Whoever has an object of a stranger's does this in a process
// that may be lost.
func Check(b []byte) error {
	_, err := read(b)
	return err
}

func read(b []byte) (o object, err error) {
	defer func() {
		// The reader is made for files of one's own compiler.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: reading it: %v", ErrProgram, r)
		}
	}()
	if len(b) > MaxObject {
		return o, fmt.Errorf("%w: %d bytes, at most %d", ErrProgram, len(b), MaxObject)
	}
	if err := plausible(b); err != nil {
		return o, fmt.Errorf("%w: %w", ErrProgram, err)
	}
	spec, err := cebpf.LoadCollectionSpecFromReader(bytes.NewReader(b))
	if err != nil {
		return o, fmt.Errorf("%w: reading it: %w", ErrProgram, err)
	}
	if o.maps, err = maps(spec.Maps); err != nil {
		return o, fmt.Errorf("%w: %w", ErrProgram, err)
	}
	for name, p := range spec.Programs {
		w, ok := sections[p.SectionName]
		if !ok || p.Type != cebpf.CGroupSKB {
			return o, fmt.Errorf("%w: %.40q is for %.40q: want cgroup_skb/egress or cgroup_skb/ingress", ErrProgram, name, p.SectionName)
		}
		if o.code[w] != nil {
			return o, fmt.Errorf("%w: two programs for %s", ErrProgram, p.SectionName)
		}
		if o.code[w], err = o.strip(p.Instructions); err == nil {
			err = screen(o.code[w])
		}
		if err != nil {
			return o, fmt.Errorf("%w: %s: %w", ErrProgram, p.SectionName, err)
		}
	}
	if o.code[out] == nil && o.code[in] == nil {
		return o, fmt.Errorf("%w: no program in it", ErrProgram)
	}
	return o, nil
}

// plausible looks at the headers alone: a few bytes of them can claim gigabytes.
func plausible(b []byte) error {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return err
	}
	if len(f.Sections) > maxSections {
		return fmt.Errorf("%d sections, at most %d", len(f.Sections), maxSections)
	}
	for _, s := range f.Sections {
		if s.Size > MaxMapBytes || s.Flags&elf.SHF_COMPRESSED != 0 {
			return fmt.Errorf("section %.40q of %d bytes, compressed or not", s.Name, s.Size)
		}
	}
	return nil
}

// kinds are the maps that an object may have: none shares memory with anybody, calls,
// redirects or tells.
var kinds = map[cebpf.MapType]bool{cebpf.Array: true, cebpf.PerCPUArray: true, cebpf.Hash: true, cebpf.LRUHash: true}

// Flags of constants and variables; they come to nothing but that.
const (
	readOnly = 1 << 7  // BPF_F_RDONLY_PROG
	mappable = 1 << 10 // BPF_F_MMAPABLE
)

// maps returns the maps of an object as they will be made.
func maps(all map[string]*cebpf.MapSpec) (map[string]*cebpf.MapSpec, error) {
	if len(all) > MaxMaps {
		return nil, fmt.Errorf("%d maps, at most %d", len(all), MaxMaps)
	}
	cpus, err := cebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("counting processors: %w", err)
	}
	made := map[string]*cebpf.MapSpec{}
	total := uint64(0)
	for name, m := range all {
		switch {
		case !kinds[m.Type]:
			return nil, fmt.Errorf("map %.40q is of type %s: want array, per-CPU array, hash or LRU hash", name, m.Type)
		case m.Pinning != cebpf.PinNone:
			return nil, fmt.Errorf("map %.40q wants to be pinned", name)
		case m.Flags&^(readOnly|mappable) != 0 || m.InnerMap != nil || m.MapExtra != 0 || m.NumaNode != 0 || m.Extra != nil && m.Extra.Len() > 0:
			return nil, fmt.Errorf("map %.40q has flags %#x, or more than keys and values", name, m.Flags)
		case m.KeySize == 0 || m.KeySize > 512 || m.ValueSize == 0 || m.ValueSize > MaxValue || m.MaxEntries == 0 || m.MaxEntries > MaxMapBytes:
			return nil, fmt.Errorf("map %.40q of %d entries of %d and %d bytes: want keys to 512, values to %d", name, m.MaxEntries, m.KeySize, m.ValueSize, MaxValue)
		}
		total += memory(m, uint64(cpus))
		made[name] = &cebpf.MapSpec{Type: m.Type, KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries,
			Flags: m.Flags & readOnly, Contents: slices.Clone(m.Contents)}
	}
	if total > MaxMapBytes {
		return nil, fmt.Errorf("maps of %d bytes together, at most %d", total, MaxMapBytes)
	}
	return made, nil
}

// memory is what a map takes in the kernel, in bytes, at the most. Arrays of who has
// no CAP_PERFMON it rounds up to a power of two, and a hash has an entry more for each
// processor that there might be, whether the node may run on it or not.
func memory(m *cebpf.MapSpec, cpus uint64) uint64 {
	up := func(n uint32) uint64 { return (uint64(n) + 7) &^ 7 }
	entries, each := uint64(m.MaxEntries), up(m.ValueSize)
	switch m.Type {
	case cebpf.Hash:
		entries, each = entries+cpus, up(m.KeySize)+each+entryOverhead
	case cebpf.LRUHash:
		each += up(m.KeySize) + entryOverhead
	case cebpf.PerCPUArray:
		entries, each = power(entries), 16+each*cpus
	default:
		entries = power(entries)
	}
	return mapOverhead + entries*each
}

// power is the least power of two that is not less.
func power(n uint64) uint64 { return 1 << bits.Len64(n-1) }

// strip copies instructions without what hangs on them but the maps that they load.
func (o object) strip(list asm.Instructions) (asm.Instructions, error) {
	plain := make(asm.Instructions, 0, len(list))
	for i := range list {
		was := &list[i]
		is := asm.Instruction{OpCode: was.OpCode, Dst: was.Dst, Src: was.Src, Offset: was.Offset, Constant: was.Constant}
		ref := was.Reference()
		switch {
		case was.IsLoadFromMap():
			if o.maps[ref] == nil {
				return nil, fmt.Errorf("a map %.40q that is not in the object", ref)
			}
			is = is.WithReference(ref)
		case was.IsFunctionCall():
			return nil, errors.New("a call of a function: have it put in line")
		case ref != "":
			return nil, fmt.Errorf("a reference to %.40q", strings.ToValidUTF8(ref, "?"))
		}
		plain = append(plain, is)
	}
	return plain, nil
}
