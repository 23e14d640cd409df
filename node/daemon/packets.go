// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"

	programs "croft/ebpf/verdict"
	"croft/node/role"
)

// The messages of packets/1: docs/roles/packets.md.
type (
	programAsk  struct{}
	programDone struct {
		Program *role.Program `json:"program,omitempty"` // nil: all packets pass
	}
)

// PacketPrograms are programs on the packets of slivers: see package ebpf/verdict.
type PacketPrograms interface {
	Load(ctx context.Context, object []byte) (programs.Digest, error)
	Enforce(*programs.Digest) error
	Enforced() *programs.Digest
	Keep([]programs.Digest) error
	Begin(sliver string) error
	End(sliver string)
	Counts(programs.Digest) (programs.Counts, error)
	Refused(sliver string) (uint64, error)
	Close() error
}

// digest is the program's, or nil.
func (a programDone) digest() *programs.Digest {
	if a.Program == nil {
		return nil
	}
	return new(programs.DigestOf(a.Program.Object))
}

// program is the call: nothing → the program that says which packets pass. It is signed
// by the owner of the slice that answers, and the kernel has verified it, before it
// counts as an answer; a challenger's then counts what it would refuse.
func (d *Daemon) program() decision[programAsk, programDone] {
	return decision[programAsk, programDone]{role: "packets", call: "program",
		want: func(*programAsk) error { return nil },
		check: func(_ programAsk, a *programDone) error {
			if p := a.Program; p != nil && (len(p.Object) == 0 || len(p.Object) > programs.MaxObject) {
				return fmt.Errorf("an object of %d bytes: want 1 to %d", len(p.Object), programs.MaxObject)
			}
			return nil
		},
		whose: func(ctx context.Context, t role.Tenant, a programDone) error {
			if err := signedProgram(ctx, t, a); err != nil || a.Program == nil {
				return err
			}
			err := d.packets.load(t, a.Program.Object)
			if errors.Is(err, programs.ErrProgram) {
				return fmt.Errorf("%w: %w", errLie, err)
			}
			return err
		},
		agree: func(_ programAsk, given, other programDone) float64 {
			a, b := given.digest(), other.digest()
			if a == nil && b == nil || a != nil && b != nil && *a == *b {
				return 1
			}
			one, ok := d.packets.share(a)
			two, too := d.packets.share(b)
			if !ok || !too {
				return 0
			}
			return 1 - math.Abs(one-two)
		},
		idle: func(_ programAsk, given, other programDone) bool {
			return given.digest() == nil && other.digest() == nil
		}}
}

// signedProgram verifies that the owner of the slice that answers signed its program.
func signedProgram(_ context.Context, t role.Tenant, a programDone) error {
	if a.Program == nil {
		return nil
	}
	if err := a.Program.Verify(t); err != nil {
		return fmt.Errorf("%w: %w", errLie, err)
	}
	return nil
}
