// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"os"

	cebpf "github.com/cilium/ebpf"
)

var (
	// ErrClosed: the Guard was closed.
	ErrClosed = errors.New("guard is closed")
	// ErrIncompatible: pinned maps are another version's. The node's slivers
	// must end (or Destroy be called) before this version can guard.
	ErrIncompatible = errors.New("pinned maps are another version's")
	// ErrPrivilege: CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN are needed.
	ErrPrivilege = errors.New("not permitted: the guard needs root")
)

// A FeatureError says what this kernel lacks. It matches errors.ErrUnsupported.
type FeatureError struct {
	Feature string // what is missing
	Need    string // what would give it
	Err     error
}

func (e *FeatureError) Error() string {
	return fmt.Sprintf("%s is missing (%s): %v", e.Feature, e.Need, e.Err)
}

func (e *FeatureError) Unwrap() error        { return e.Err }
func (e *FeatureError) Is(target error) bool { return target == errors.ErrUnsupported }

// explain gives errors of the kernel the type that a caller can act on.
func explain(doing string, err error) error {
	var verifier *cebpf.VerifierError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &verifier):
		// EACCES too, but nobody's privileges would help.
	case errors.Is(err, cebpf.ErrMapIncompatible):
		err = fmt.Errorf("%w: %w", ErrIncompatible, err)
	case errors.Is(err, cebpf.ErrNotSupported):
		err = &FeatureError{"eBPF for traffic control", "Linux 5.15 or newer with CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF", err}
	case errors.Is(err, os.ErrPermission):
		err = fmt.Errorf("%w: %w", ErrPrivilege, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
