// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// DownOptions says how to take a lab down.
type DownOptions struct {
	// Destroy wipes what a node's daemon made outside its state directory. It
	// is called after the daemon ended, on a thread in the node's namespace if
	// that still exists, once for each node, and must be idempotent.
	Destroy func(ctx context.Context, stateDir string) error
	// Keep leaves the nodes' directories, with their logs, where they are.
	Keep bool
}

// Down removes the lab in dir, in whatever state it is: also after an Up that
// was killed, and after a Down that failed. Without a lab there it returns
// ErrNoLab.
func Down(ctx context.Context, dir string, o DownOptions) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := load(dir); err != nil {
		return err
	}
	unlock, err := lock(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := load(dir)
	if err != nil {
		return err
	}
	if err := r.unmake(ctx, dir, o); err != nil {
		return fmt.Errorf("taking the lab down: %w", err)
	}
	return nil
}

// unmake is Down with the lock held. It goes on after errors, and keeps the
// record as long as there were any.
func (r *record) unmake(ctx context.Context, dir string, o DownOptions) error {
	var errs []error
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, n := range r.Plan.Nodes {
		all.Go(func() { // each may take all of the grace
			err := r.Daemons[n.Name].end(ctx, stopGrace)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	all.Wait()
	if o.Destroy != nil {
		for _, n := range r.Plan.Nodes {
			if err := destroy(ctx, n, o.Destroy); err != nil {
				errs = append(errs, fmt.Errorf("wiping %s: %w", n.Name, err))
			}
		}
	}
	errs = append(errs, r.Relay.end(ctx, 0), Sweep(ctx, r.Plan.Name))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return clear(dir, o.Keep)
}

func destroy(ctx context.Context, n node, wipe func(context.Context, string) error) error {
	if _, err := os.Stat(n.Dir); errors.Is(err, os.ErrNotExist) {
		return nil // its daemon never ran
	}
	err := within(n.NetNS, func() error { return wipe(ctx, n.Dir) })
	if errors.Is(err, errNoNetNS) {
		return wipe(ctx, n.Dir)
	}
	return err
}

// Sweep removes every process and namespace of the lab of this name, with or
// without its directory. The caller and its ancestors are spared.
func Sweep(ctx context.Context, name string) error {
	namespaces, err := netnsOf(name)
	if err != nil {
		return err
	}
	// A process that is killed may have just started another.
	for range sweepRounds {
		left, err := processesOf(name, namespaces)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			break
		}
		for _, p := range left {
			if err := p.end(ctx, 0); err != nil {
				return err
			}
		}
	}
	var errs []error
	for _, ns := range namespaces {
		errs = append(errs, dropNetNS(ns))
	}
	return errors.Join(errs...)
}

// clear removes the lab's files, the record last of all but the lock.
func clear(dir string, keep bool) error {
	if mounts, err := mountsBelow(dir); err != nil {
		return err
	} else if len(mounts) > 0 {
		// Removing now would go on through the mount.
		return fmt.Errorf("%s: %w", mounts[0], ErrMounted)
	}
	names := []string{"sites", "relay.json", "relay.json.new", "relay.sock", "relay.log"}
	if !keep {
		names = append(names, "nodes")
	}
	names = append(names, recordFile+".new", recordFile, lockFile)
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	os.Remove(dir) // stays if it holds anything of others
	return nil
}

// mountsBelow lists what is mounted below a directory.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	var found []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		// The kernel writes spaces, tabs, newlines and backslashes in octal.
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
		if strings.HasPrefix(point, dir+"/") {
			found = append(found, point)
		}
	}
	return found, lines.Err()
}
