// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/wire"
	"croft/sandbox"
)

// far is a node at the end of a pipe; breaks is how many parts of a blob break
// off in the middle.
type far struct {
	api.Node
	blob   []byte
	breaks atomic.Int32
	deaf   bool // and nothing arrives before they do
}

func (f *far) Fetch(context.Context, api.Caller, lease.Digest, api.FetchRequest) (api.Blob, error) {
	return api.Blob{}, api.ErrNoFetch
}

func (f *far) Blob(_ context.Context, _ api.Caller, d lease.Digest, size int64, _ bool) (api.Blob, error) {
	return api.Blob{Digest: d, Size: size, Have: int64(len(f.blob)), Done: int64(len(f.blob)) == size}, nil
}

func (f *far) Append(_ context.Context, _ api.Caller, d lease.Digest, offset, size int64, r io.Reader) (api.Blob, error) {
	if f.breaks.Add(-1) >= 0 {
		if !f.deaf {
			b, _ := io.ReadAll(io.LimitReader(r, 1000))
			f.blob = append(f.blob, b...)
		}
		panic(http.ErrAbortHandler) // the connection is gone
	}
	if offset != int64(len(f.blob)) {
		return api.Blob{}, api.ErrOffset
	}
	b, err := io.ReadAll(r)
	f.blob = append(f.blob, b...)
	return api.Blob{Digest: d, Size: size, Have: int64(len(f.blob)), Done: int64(len(f.blob)) == size}, err
}

func (f *far) Slivers(_ context.Context, by api.Caller) ([]api.Sliver, error) {
	return []api.Sliver{{Reason: by.Principal.String()}}, nil
}
func (f *far) Logs(context.Context, api.Caller, string, sandbox.LogOptions, io.Writer) error {
	return api.ErrNotRunning
}
func (f *far) Exec(_ context.Context, _ api.Caller, sliver string, _ sandbox.Exec, stdio sandbox.IO) (int, error) {
	if sliver != "mine" {
		return 0, api.ErrNoSliver
	}
	_, err := io.Copy(stdio.Out, stdio.In)
	return 3, err
}
func (f *far) Traffic(context.Context, api.Caller, string) (api.Traffic, error) {
	return api.Traffic{}, api.ErrNoSliver
}

func (*far) Figures(context.Context, api.Caller, string) ([]api.Figures, error) { return nil, nil }

// owner is the way in.
type owner struct {
	api.Owner
	t   *testing.T
	far net.Addr
}

func (o owner) Pipe(ctx context.Context, to lease.Principal) (net.Conn, error) {
	if to == leasetest.Who("nobody") {
		return nil, api.ErrUnreachable
	}
	return new(net.Dialer).DialContext(ctx, "tcp", o.far.String())
}

func (owner) Status(context.Context) (api.Status, error) { return api.Status{Name: "way"}, nil }

func (owner) Books(context.Context) ([]api.Claim, error) {
	return nil, fmt.Errorf("%w: the disk", api.ErrAgain)
}

// proved has the channels that callers open end to end, as package wire has.
type proved struct {
	net.Listener
	t *testing.T
}

func (p proved) Accept() (net.Conn, error) {
	for {
		raw, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c, _, err := wire.Accept(p.t.Context(), raw, leasetest.Key("node").Private()); err == nil {
			return c, nil
		}
	}
}

func listen(t *testing.T, network, addr string, wrap func(net.Listener) net.Listener, s *http.Server) net.Addr {
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(wrap(l)) }()
	t.Cleanup(func() { s.Close() })
	return l.Addr()
}

// net returns a way in and the node behind it.
func network(t *testing.T) (*Way, *far) {
	f := &far{}
	remote := &http.Server{Handler: api.Remote(api.Node{Slivers: f, Blobs: f, Exports: f}, "1"), ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		p, err := lease.ParsePrincipal(c.RemoteAddr().String())
		if err != nil {
			t.Errorf("caller %s: %v", c.RemoteAddr(), err)
		}
		return api.WithCaller(ctx, p)
	}}
	addr := listen(t, "tcp", "127.0.0.1:0", func(l net.Listener) net.Listener { return proved{l, t} }, remote)
	socket := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", socket, func(l net.Listener) net.Listener { return l },
		&http.Server{Handler: api.Local(api.Node{Owner: owner{t: t, far: addr}, Exports: f}, "1")})
	return New(socket), f
}

func TestTheNodeKnowsWhoCalls(t *testing.T) {
	way, _ := network(t)
	if s, err := way.Status(t.Context()); err != nil || s.Name != "way" {
		t.Errorf("%+v, %v", s, err)
	}
	node := way.Node(leasetest.Who("node"), leasetest.Key("alice"))
	defer node.Close()
	if s, err := node.Slivers(t.Context()); err != nil || len(s) != 1 || s[0].Reason != leasetest.Who("alice").String() {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestWhatIsWrongCanBeTold(t *testing.T) {
	way, _ := network(t)
	alice := leasetest.Key("alice")
	node := way.Node(leasetest.Who("node"), alice)
	defer node.Close()
	_, err := node.Traffic(t.Context(), "mine")
	if p := new(Problem); !errors.Is(err, api.ErrNoSliver) || !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("no sliver: %v", err)
	}
	if err := node.Logs(t.Context(), "mine", sandbox.LogOptions{}, io.Discard); err == nil || !strings.Contains(err.Error(), "not running") {
		t.Errorf("not running: %v", err)
	}
	if _, err := way.Books(t.Context()); !errors.Is(err, api.ErrAgain) || !strings.Contains(err.Error(), "the disk") {
		t.Errorf("again: %v", err)
	}
	if _, err := way.Node(leasetest.Who("nobody"), alice).Slivers(t.Context()); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("a node that is not there: %v", err)
	}
	if _, err := way.Node(leasetest.Who("mallory"), alice).Slivers(t.Context()); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("a node that is another: %v", err)
	}
	if _, err := New(filepath.Join(t.TempDir(), "none")).Status(t.Context()); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no daemon: %v", err)
	}
	if _, err := New(filepath.Join(t.TempDir(), "none")).Node(leasetest.Who("node"), alice).Slivers(t.Context()); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no daemon: %v", err)
	}
}

func TestWhatIsNoProblemDocumentIsQuoted(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", socket, func(l net.Listener) net.Listener { return l },
		&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(418)
			_, _ = io.WriteString(w, strings.Repeat("no ", 100_000))
		})})
	way := New(socket)
	_, err := way.Status(t.Context())
	if p := new(Problem); !errors.As(err, &p) || p.Status != 418 || len(p.Detail) > 400 {
		t.Errorf("got %.500v", err)
	}
	if _, err := way.Node(leasetest.Who("node"), leasetest.Key("alice")).Slivers(t.Context()); err == nil || !strings.Contains(err.Error(), "teapot") {
		t.Errorf("an upgrade that fails: %.500v", err)
	}
}

func TestExec(t *testing.T) {
	way, _ := network(t)
	node := way.Node(leasetest.Who("node"), leasetest.Key("alice"))
	var out bytes.Buffer
	input := strings.Repeat("0123456789", 20_000)
	status, err := node.Exec(t.Context(), "mine", sandbox.Exec{Args: []string{"cat"}}, sandbox.IO{In: strings.NewReader(input), Out: &out})
	if err != nil || status != 3 || out.String() != input {
		t.Errorf("status %d, %d bytes, %v", status, out.Len(), err)
	}
	if _, err := node.Exec(t.Context(), "theirs", sandbox.Exec{Args: []string{"cat"}}, sandbox.IO{}); !errors.Is(err, api.ErrNoSliver) {
		t.Errorf("of another: %v", err)
	}
	if _, err := node.Exec(t.Context(), "mine", sandbox.Exec{}, sandbox.IO{}); err == nil || !strings.Contains(err.Error(), "no command") {
		t.Errorf("no command: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stuck, _ := io.Pipe()
	cancel()
	if _, err := node.Exec(ctx, "mine", sandbox.Exec{Args: []string{"cat"}}, sandbox.IO{In: stuck}); err == nil {
		t.Error("a session went on without its caller")
	}
}

func TestSendGoesOnAfterABreak(t *testing.T) {
	way, f := network(t)
	node := way.Node(leasetest.Who("node"), leasetest.Key("alice"))
	defer node.Close()
	blob := bytes.Repeat([]byte("croft"), part/5+1000)
	digest := lease.Digest(sha256.Sum256(blob))
	f.breaks.Store(3)
	var told []int64
	err := node.Send(t.Context(), digest, int64(len(blob)), bytes.NewReader(blob), func(have int64) { told = append(told, have) })
	if err != nil || !bytes.Equal(f.blob, blob) {
		t.Errorf("%d of %d bytes are there, %v", len(f.blob), len(blob), err)
	}
	if last := told[len(told)-1]; last != int64(len(blob)) {
		t.Errorf("progress ends at %d", last)
	}
	if err := node.SendPrivate(t.Context(), lease.Digest{1}, 1, bytes.NewReader([]byte{1}), func(int64) {}); !errors.Is(err, ErrPublic) {
		t.Errorf("private, and passed on: %v", err)
	}
	f.blob, f.deaf = nil, true
	f.breaks.Store(1000)
	if err := node.Send(t.Context(), digest, int64(len(blob)), bytes.NewReader(blob), func(int64) {}); err == nil {
		t.Error("sent over a connection that carries nothing")
	}
}
