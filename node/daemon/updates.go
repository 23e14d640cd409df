// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"croft/lease"
	"croft/node/release"
)

// The messages of updates/1: docs/roles/updates.md.
type (
	whichAsk struct {
		Running  release.Version `json:"running"`
		Platform string          `json:"platform"`
	}
	whichDone struct {
		Release string            `json:"release,omitempty"`
		Holders []lease.Principal `json:"holders,omitempty"`
	}
)

// platformHere is the platform of this program.
const platformHere = runtime.GOOS + "/" + runtime.GOARCH

var errNoPublisher = errors.New("no publisher is chosen: [updates] of the configuration has none")

// which is the call: what runs → the signed release to run.
func (d *Daemon) which() decision[whichAsk, whichDone] {
	return decision[whichAsk, whichDone]{role: "updates", call: "which",
		want: func(q *whichAsk) error {
			if (q.Running == release.Version{}) {
				q.Running = d.updates.running
			}
			if q.Platform == "" {
				q.Platform = platformHere
			}
			if len(q.Platform) > 33 {
				return errors.New("a platform that is none")
			}
			return d.updates.unfit
		},
		check: func(q whichAsk, a *whichDone) error {
			if len(a.Holders) > maxUpdateHolders || repeats(a.Holders) || slices.ContainsFunc(a.Holders, func(p lease.Principal) bool { return p.Check() != nil }) {
				return fmt.Errorf("want at most %d nodes that have it, each once", maxUpdateHolders)
			}
			if a.Release == "" {
				return nil
			}
			s, err := d.cfg.Updates.read([]byte(a.Release), d)
			if err != nil {
				return err
			}
			book := d.updates.known()
			return book.Bears(s, q.Running)
		},
		agree: func(_ whichAsk, given, other whichDone) float64 {
			a, err1 := release.Parse([]byte(given.Release))
			b, err2 := release.Parse([]byte(other.Release))
			if err1 != nil && err2 != nil || err1 == nil && err2 == nil && a.Version == b.Version && slices.Equal(a.Builds, b.Builds) {
				return 1
			}
			return 0
		}}
}

// read reads a release that enough publishers signed, and which is in its term.
func (c UpdatesConfig) read(text []byte, d *Daemon) (*release.Signed, error) {
	s, err := release.Parse(text)
	if err == nil {
		err = c.Check(s, d.deps.Clock.Wall())
	}
	return s, err
}

// signers are the publishers who signed the program that runs, if it came as the newest
// release did: of earlier ones only the build is kept.
func (u *updater) signers() []lease.Principal {
	book := u.known()
	s, k := book.Last(), book.Current
	if s == nil || k == nil || u.path(*k) != u.exe {
		return nil
	}
	if b, err := s.Build(platformHere); err != nil || b.Digest != k.Digest {
		return nil
	}
	return s.By(u.d.cfg.Updates.Publishers)
}
