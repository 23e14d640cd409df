// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
)

const (
	headerLimit = 10 * time.Second // to send a request's head
	idleLimit   = 2 * time.Minute
	maxHeader   = 64 << 10
	closeLimit  = time.Second // for requests under way when the daemon goes
)

// Socket is the path of the unix socket below a state directory.
func Socket(state string) string { return filepath.Join(state, "run", "croft.sock") }

// ErrSocket says that the unix socket cannot be had.
var ErrSocket = errors.New("cannot listen on the socket")

// listen opens both doors: the unix socket, and the channels from other nodes.
func (d *Daemon) listen() ([]server, error) {
	path := Socket(d.cfg.State)
	local, err := listenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrSocket, path, err)
	}
	n := d.Node()
	way := newHTTP(api.Local(n, Version))
	far := newHTTP(api.Remote(n, Version))
	far.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		p, err := lease.ParsePrincipal(c.RemoteAddr().String())
		if err != nil {
			return ctx // no caller: every route that needs one finds nothing of his
		}
		return api.WithCaller(ctx, p)
	}
	return []server{{serveOn(way, local)}, {serveOn(far, d.deps.Wire.Channels())}}, nil
}

func serveOn(s *http.Server, l net.Listener) func(context.Context) error {
	return func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() {
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
			defer cancel()
			if s.Shutdown(late) != nil {
				s.Close()
			}
		})
		defer stop()
		s.BaseContext = func(net.Listener) context.Context { return ctx }
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
			return err
		}
		return nil
	}
}

// listenUnix takes the socket over from a daemon that died, never from one that
// lives, and never from another user.
func listenUnix(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	switch err := unix.Lstat(path, &st); {
	case errors.Is(err, fs.ErrNotExist) || err == unix.ENOENT:
	case err != nil:
		return nil, err
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return nil, fmt.Errorf("there is a file that is not a socket")
	case int(st.Uid) != os.Geteuid():
		return nil, fmt.Errorf("it belongs to uid %d", st.Uid)
	default:
		if c, err := net.DialTimeout("unix", path, closeLimit); err == nil {
			c.Close()
			return nil, fmt.Errorf("a daemon listens there already")
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
		l.Close()
		return nil, err
	}
	return l, nil
}

// exited is the input that a warden's report is, if the program has ended for
// good by itself.
func exited(st sandbox.Status) sandbox.Input {
	if st.State != sandbox.Stopped && st.State != sandbox.Failed {
		return nil
	}
	in := sandbox.Exited{Sliver: st.Sliver, Reason: st.Reason}
	if st.Exit != nil {
		in.Code = *st.Exit
	}
	return in
}
