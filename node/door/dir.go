// SPDX-License-Identifier: Apache-2.0

package door

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// SocketName is the socket's name in its directory.
const SocketName = "node.sock"

// Dir has the directories of all doors of a node. Only root writes there; a sliver has
// its own read-only. The machine's other users can reach the sockets, as the sliver's
// can, whoever they are there: a door tells them apart by their ids. Its path is short: a
// socket's is at most 107 bytes.
type Dir string

// Users are the ids of a sliver's users on the node.
type Users struct{ First, Count uint32 }

// DirOf is where a node with this tag has its doors. What is below /run goes with
// the machine's uptime, as slivers do.
func DirOf(tag string) Dir { return Dir("/run/croft-" + tag + "/d") }

// Open makes a sliver's socket anew, in the directory that it had before, if it
// had one: that is what the sliver sees. Of who is none of its users the listener
// accepts nothing.
func (d Dir) Open(sliver string, of Users) (net.Listener, string, error) {
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
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fail(err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // a sliver's users are many
		return fail(errors.Join(err, l.Close()))
	}
	return listener{l, of}, at, nil
}

// listener accepts who is of the sliver.
type listener struct {
	*net.UnixListener
	of Users
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	if err := l.of.know(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// know is an error where a connection is not by one of the users.
func (u Users) know(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("asking who dials: %w", err)
	}
	var who *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || failed != nil {
		return fmt.Errorf("asking who dials: %w", errors.Join(err, failed))
	}
	if who.Uid-u.First >= u.Count { // wraps below the first
		return fmt.Errorf("user %d: %w", who.Uid, errStranger)
	}
	return nil
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
