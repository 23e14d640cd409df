// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// SetOptOut implements [ebpf.Guard]: a new table is filled and then put in the
// place of the old one, in one step.
func (g *Guard) SetOptOut(ctx context.Context, addrs []netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	keys := make([]guardAddress, 0, len(addrs))
	for _, a := range addrs {
		if !a.IsValid() {
			return fmt.Errorf("opting out address %s: %w", a, ebpf.ErrField)
		}
		keys = append(keys, guardAddress{Octets: a.As16()})
	}
	slices.SortFunc(keys, func(a, b guardAddress) int { return slices.Compare(a.Octets[:], b.Octets[:]) })
	keys = slices.Compact(keys)
	if len(keys) > ebpf.MaxOptOut {
		return fmt.Errorf("%d addresses that opted out, limit %d: %w", len(keys), ebpf.MaxOptOut, ebpf.ErrField)
	}
	return explain("setting addresses that opted out", errors.Join(g.setOptOut(keys), g.rulesChanged()))
}

func (g *Guard) setOptOut(keys []guardAddress) error {
	if len(keys) == 0 {
		err := g.objects.Optouts.Delete(uint32(0))
		if errors.Is(err, cebpf.ErrKeyNotExist) {
			return nil
		}
		return err
	}
	spec, err := loadGuard()
	if err != nil {
		return err
	}
	set, err := cebpf.NewMap(spec.Maps[guardMapOptouts].InnerMap)
	if err != nil {
		return err
	}
	defer set.Close()
	values := make([]uint32, min(batch, len(keys)))
	for chunk := range slices.Chunk(keys, batch) {
		if _, err := set.BatchUpdate(chunk, values[:len(chunk)], nil); err != nil {
			return err
		}
	}
	return g.objects.Optouts.Put(uint32(0), set)
}
