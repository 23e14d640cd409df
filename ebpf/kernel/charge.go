// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"time"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// request is struct __sk_buff, of which the control block is used: what user
// space changes of a meter it changes in the kernel, under the lock.
type request struct {
	_  [12]uint32
	CB [5]uint32
	_  [31]uint32
}

// never is what guard_charge returns for more than the bucket holds.
const never = 255

// ask runs p once on no packet.
func ask(p *cebpf.Program, cb [5]uint32) (verdict uint32, out [5]uint32, err error) {
	var answer request
	verdict, err = p.Run(&cebpf.RunOptions{Data: make([]byte, 14), Context: request{CB: cb}, ContextOut: &answer})
	return verdict, answer.CB, err
}

// Charge implements [ebpf.Guard].
func (g *Guard) Charge(ctx context.Context, sliver string, d ebpf.Direction, ch ebpf.Channel, bytes uint64) error {
	if err := ch.Check(); err != nil {
		return fmt.Errorf("charging %s: %w", sliver, err)
	}
	if d > ebpf.Ingress || bytes > ebpf.MaxBurst {
		return fmt.Errorf("charging %s: %s of %d bytes: %w", sliver, d, bytes, ebpf.ErrField)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	p, ok := g.ports[sliver]
	if !ok {
		return fmt.Errorf("charging %s: %w", sliver, ebpf.ErrNotAttached)
	}
	verdict, out, err := ask(g.objects.Charge, [5]uint32{p.tenure, uint32(d) | uint32(ch)<<8, uint32(bytes), uint32(bytes >> 32), p.record.Ifindex})
	if err != nil {
		return explain("charging "+sliver, err)
	}
	switch reason := ebpf.Reason(verdict); {
	case reason == ebpf.ReasonNone:
		return nil
	case reason == ebpf.ReasonNoSliver, reason == ebpf.ReasonDeadline:
		return fmt.Errorf("charging %s: %s: %w", sliver, reason.Meaning(), ebpf.ErrNotAttached)
	case verdict == never:
		return fmt.Errorf("charging %s: %d bytes are more than the lease passes at once: %w", sliver, bytes, ebpf.ErrField)
	default:
		return &ebpf.Wait{For: time.Duration(uint64(out[3])<<32 | uint64(out[2])), Reason: reason}
	}
}

// carry puts m into a meter of this layout, unless that was done.
func (g *Guard) carry(p port, d ebpf.Direction, m guardMeter) error {
	if err := g.objects.Carries.Put(uint32(0), m); err != nil {
		return err
	}
	verdict, _, err := ask(g.objects.Carry, [5]uint32{p.tenure, uint32(d)})
	if err != nil {
		return err
	}
	if verdict != 0 {
		return errors.New("the sliver's new state is not there")
	}
	return nil
}
