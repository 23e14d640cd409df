// SPDX-License-Identifier: Apache-2.0

package door

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// SocketName is the socket's name in its directory.
const SocketName = "node.sock"

// Dir has the directories of all doors of a node. They are root's alone; a sliver
// has its own read-only. Its path is short: a socket's is at most 107 bytes.
type Dir string

// DirOf is where a node with this tag has its doors. What is below /run goes with
// the machine's uptime, as slivers do.
func DirOf(tag string) Dir { return Dir("/run/croft-" + tag + "/d") }

// Open makes a sliver's socket anew, in the directory that it had before, if it
// had one: that is what the sliver sees.
func (d Dir) Open(sliver string) (net.Listener, string, error) {
	at := filepath.Join(string(d), sliver)
	fail := func(err error) (net.Listener, string, error) {
		return nil, "", fmt.Errorf("making the door of sliver %s: %w", sliver, err)
	}
	if err := os.MkdirAll(at, 0o711); err != nil {
		return fail(err)
	}
	for _, dir := range []string{filepath.Dir(string(d)), string(d), at} { // whatever the umask is
		if err := os.Chmod(dir, 0o711); err != nil {
			return fail(err)
		}
	}
	path := filepath.Join(at, SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fail(err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // a sliver's users are nobody here
		return fail(errors.Join(err, l.Close()))
	}
	return l, at, nil
}

// Remove takes a sliver's directory away, and those above it that are empty then.
func (d Dir) Remove(sliver string) error {
	if err := os.RemoveAll(filepath.Join(string(d), sliver)); err != nil {
		return fmt.Errorf("removing the door of sliver %s: %w", sliver, err)
	}
	_ = os.Remove(string(d))
	_ = os.Remove(filepath.Dir(string(d)))
	return nil
}

// Wipe takes all of them away.
func (d Dir) Wipe() error {
	if err := os.RemoveAll(string(d)); err != nil {
		return fmt.Errorf("removing doors: %w", err)
	}
	_ = os.Remove(filepath.Dir(string(d)))
	return nil
}
