// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"croft/ebpf/kernel"
	slivernet "croft/ebpf/net"
	programs "croft/ebpf/verdict"
	"croft/node/door"
	"croft/node/journal"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/oci"
	"croft/sandbox/warden"
)

// ErrRunning says that a daemon has the node's state.
var ErrRunning = errors.New("the daemon is running")

// Wipe removes from the kernel everything of the node with this state directory:
// slivers, cgroups, mounts, limits, links, namespaces; also what a crash left.
// It must be called in the network namespace in which the daemon ran. Keys and
// records stay.
func Wipe(ctx context.Context, state string) error {
	if _, err := os.Stat(keyPath(state)); errors.Is(err, fs.ErrNotExist) {
		return nil // no node was ever here
	}
	// A daemon holds its journal from before it touches anything until after.
	// What else may be wrong with the journal is no reason to leave things lying.
	if j, _, err := openJournal(state); err == nil {
		defer j.Close()
	} else if errors.Is(err, journal.ErrLocked) {
		return fmt.Errorf("%w: stop it first", ErrRunning)
	}
	key, err := NodeKey(state)
	if err != nil {
		return err
	}
	tag := Tag(key.Principal())
	return errors.Join(
		wipeSlivers(ctx, state, tag),
		wipeCgroups(tag),
		door.DirOf(tag).Wipe(),
		kernel.Destroy("", tag),
		programs.Destroy("", tag),
		slivernet.Destroy(ctx, tag),
		removeIfThere(Socket(state)))
}

func wipeSlivers(ctx context.Context, state, tag string) error {
	runc, err := FindRuntime("")
	if err != nil {
		return nil // what needs a runtime was never started
	}
	images, err := image.Open(filepath.Join(state, "images"), 0)
	if err != nil {
		return err
	}
	wardens, err := warden.Open(ctx, warden.Config{State: state, Tag: tag, Runc: runc.Path,
		Warden: []string{"/proc/self/exe", "warden"}, Images: images, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("taking up the slivers: %w", err)
	}
	list, err := wardens.List(ctx)
	errs := []error{err}
	for _, st := range list {
		if err := wardens.Remove(ctx, st.Sliver); err != nil {
			errs = append(errs, fmt.Errorf("removing sliver %s: %w", st.Sliver, err))
		}
	}
	return errors.Join(append(errs, wardens.Close())...)
}

// wipeCgroups removes those that were made for slivers that never began.
func wipeCgroups(tag string) error {
	groups, err := oci.HostCgroups()
	if err != nil {
		return err
	}
	return groups.Remove(sandbox.Parent(tag))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
