// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Socket is the path of the unix socket below a state directory.
func Socket(state string) string { return filepath.Join(state, "run", "croft.sock") }

// ErrSocket says that the unix socket cannot be had.
var ErrSocket = errors.New("cannot listen on the socket")

// listenUnix takes the socket over from a daemon that died, never from one that
// lives, and never from another user.
func listenUnix(path string) (net.Listener, error) {
	l, err := takeSocket(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrSocket, path, err)
	}
	return l, nil
}

func takeSocket(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	switch err := unix.Lstat(path, &st); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return nil, errors.New("there is a file that is not a socket")
	case int(st.Uid) != os.Geteuid():
		return nil, fmt.Errorf("it belongs to uid %d", st.Uid)
	default:
		if err := stale(path); err != nil {
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// stale returns nil if nobody listens any more: only a refused connection says
// so for certain.
func stale(path string) error {
	c, err := net.DialTimeout("unix", path, closeLimit)
	switch {
	case err == nil:
		return errors.Join(errors.New("a daemon listens there already"), c.Close())
	case errors.Is(err, unix.ECONNREFUSED):
		return nil
	}
	return fmt.Errorf("whether a daemon listens there is not clear: %w", err)
}
