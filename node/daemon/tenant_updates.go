// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_updates

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"croft/node/release"
)

func init() {
	builtins["updates"] = func(d *Daemon) tenant { return replies{"which": reply(releaseFiles{d}.which)} }
}

// releaseFiles is the built-in: the highest of the releases that the owner put into the
// state directory, or was sent there, and of those that this node heard of.
type releaseFiles struct{ d *Daemon }

func (r releaseFiles) which(_ context.Context, q whichAsk) (done whichDone, err error) {
	book := r.d.updates.known()
	best := book.Last()
	texts, err := r.texts()
	for _, text := range texts {
		s, err := r.d.cfg.Updates.read(text, r.d)
		if err != nil {
			continue // the next may do
		}
		if best == nil || s.Version.Compare(best.Version) > 0 || s.Version == best.Version && s.Said.After(best.Said) {
			best = s
		}
	}
	if best == nil {
		return done, err
	}
	if r.d.cfg.Updates.Check(best, r.d.deps.Clock.Wall()) != nil || book.Bears(best, q.Running) != nil {
		return done, nil // it was, and nobody has said so since; or what runs is newer
	}
	done.Release = string(best.Text())
	if r.d.deps.View != nil {
		for _, o := range r.d.deps.View() {
			if o.Node != r.d.deps.Key.Principal() && len(done.Holders) < maxUpdateHolders {
				done.Holders = append(done.Holders, o.Node)
			}
		}
	}
	return done, nil
}

// texts are the files STATE/releases/*.release.
func (r releaseFiles) texts() (list [][]byte, err error) {
	dir, err := os.Open(filepath.Join(r.d.cfg.State, releasesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading releases: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxReleaseFiles)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading releases: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, releaseSuffix) {
			if text, err := readRegular(filepath.Join(dir.Name(), name), release.MaxText); err == nil {
				list = append(list, text)
			}
		}
	}
	return list, nil
}
