// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"net/netip"
	"path"
	"time"

	"croft/lease"
)

// Spec is one sliver as its node wants it.
type Spec struct {
	Sliver   string        `json:"sliver"`
	Slice    string        `json:"slice"`
	Hostname string        `json:"hostname"`
	Place    int           `json:"place"` // decides the uid range
	Program  Program       `json:"program"`
	RSet     lease.RSet    `json:"rset"`
	NetNS    string        `json:"netns,omitempty"`   // a path; empty gives a namespace with nothing but lo
	Resolver netip.Addr    `json:"resolver,omitzero"` // name server; none if zero
	Deadline int64         `json:"deadline"`          // boot clock, ns
	Restart  RestartPolicy `json:"restart,omitzero"`
	Door     string        `json:"door,omitempty"` // the node's directory that is read-only at DoorAt; none if empty
}

// DoorAt is where a sliver finds the directory with its node's socket. A directory,
// so that what a later daemon makes in it is seen.
const DoorAt = "/run/croft"

// RestartPolicy says what happens when the program ends by itself.
type RestartPolicy struct {
	When RestartWhen `json:"when,omitempty"` // empty is Never
	Max  int         `json:"max,omitempty"`  // restarts at most; 0 is MaxRestarts
}

// RestartWhen is the kind of end after which a program is started again.
type RestartWhen string

const (
	Never     RestartWhen = "never"
	OnFailure RestartWhen = "on-failure" // exit status other than 0
	Always    RestartWhen = "always"
)

// Again reports whether a program that ended with exit for the (done+1)th time
// is to be started again.
func (p RestartPolicy) Again(exit, done int) bool {
	limit := p.Max
	if limit <= 0 || limit > MaxRestarts {
		limit = MaxRestarts
	}
	return done < limit && (p.When == Always || p.When == OnFailure && exit != 0)
}

// Pause is the wait before the nth restart in a row, counted from 0.
func Pause(n int) time.Duration {
	if n > 20 { // 2^20 × MinPause is far beyond MaxPause; larger shifts overflow
		return MaxPause
	}
	return min(MinPause<<max(n, 0), MaxPause)
}

// UIDBase is the first of the [UIDs] user ids of a place.
func UIDBase(place int) uint32 { return FirstUID + uint32(place)*UIDs }

// Check reports what is impossible about a spec, as [ErrSpec] or [ErrProgram].
func (s Spec) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrSpec}, args...)...)
	}
	switch {
	case !nameOK(s.Sliver, 32):
		return bad("sliver %q: want 1 to 32 characters of a-z, 0-9 and -", s.Sliver)
	case !nameOK(s.Hostname, 63):
		return bad("host name %q: want 1 to 63 characters of a-z, 0-9 and -", s.Hostname)
	case s.Place < 0 || s.Place >= MaxPlaces:
		return bad("place %d is outside 0…%d", s.Place, MaxPlaces-1)
	case s.NetNS != "" && !path.IsAbs(s.NetNS):
		return bad("network namespace %q is not an absolute path", s.NetNS)
	case s.Door != "" && (!path.IsAbs(s.Door) || hasControl(s.Door)):
		return bad("door %q is not an absolute path", s.Door)
	case s.Deadline <= 0:
		return bad("no deadline")
	case s.Restart.When != "" && s.Restart.When != Never && s.Restart.When != OnFailure && s.Restart.When != Always:
		return bad("restart %q: want never, on-failure or always", s.Restart.When)
	case len(s.Slice) > 4*lease.MaxLabel || hasControl(s.Slice):
		return bad("slice name")
	}
	if err := CheckLimits(s.RSet); err != nil {
		return err
	}
	return s.Program.Check()
}

// CheckLimits reports what of an rset no sandbox can hold, as [ErrSpec].
func CheckLimits(r lease.RSet) error {
	for _, c := range []struct {
		r    lease.Resource
		min  uint64
		zero bool // may be nothing at all
	}{{lease.CPU, MinCPU, false}, {lease.Memory, MinMemory, false}, {lease.Pids, MinPids, false}, {lease.Disk, MinDisk, true}} {
		v := r[c.r]
		if v > lease.MaxAmount || v < c.min && !(c.zero && v == 0) {
			return fmt.Errorf("%w: %s=%s, at least %s", ErrSpec, c.r, c.r.Format(v), c.r.Format(c.min))
		}
	}
	return nil
}

func nameOK(s string, limit int) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= limit && s[0] != '-'
}

func hasControl(s string) bool {
	for _, c := range s {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}
