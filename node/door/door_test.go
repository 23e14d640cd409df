// SPDX-License-Identifier: Apache-2.0

package door

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"croft/ebpf"
	"croft/lease/leasetest"
	"croft/node/role"
)

// street is a house with one door, to which tests dial.
type street struct {
	t     *testing.T
	house *House
	dials chan net.Conn
	fails chan error // of Accept
	over  chan struct{}

	mu      sync.Mutex
	charged map[string]uint64
	tenants []*Tenant
	left    int
	refuse  error
	broke   bool // nothing is paid for
}

// inStreet runs f in virtual time.
func inStreet(t *testing.T, f func(t *testing.T, s *street)) {
	synctest.Test(t, func(t *testing.T) {
		s := &street{t: t, dials: make(chan net.Conn), fails: make(chan error), over: make(chan struct{}), charged: map[string]uint64{}}
		s.house = &House{Node: leasetest.Key("node").Principal(), Guard: s, Roles: s, Log: slog.New(slog.DiscardHandler), HTTP: func(who Sliver) *http.Server {
			return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s asks %s\n", who.Name, r.URL) })}
		}}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.house.Serve(ctx, s, finder()) }()
		f(t, s)
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func finder() Sliver {
	return Sliver{Name: "abcd", Label: "finder", Owner: leasetest.Key("alice").Principal()}
}

func (s *street) Accept() (net.Conn, error) {
	select {
	case c := <-s.dials:
		return c, nil
	case err := <-s.fails:
		return nil, err
	case <-s.over:
		return nil, net.ErrClosed
	}
}
func (s *street) Close() error   { close(s.over); return nil }
func (s *street) Addr() net.Addr { return &net.UnixAddr{Name: "door", Net: "unix"} }

func (s *street) Charge(ctx context.Context, sliver string, d ebpf.Direction, ch ebpf.Channel, n uint64) error {
	s.mu.Lock()
	if s.broke && d == ebpf.Ingress {
		s.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	defer s.mu.Unlock()
	s.charged[sliver+" "+ch.String()+" "+d.String()] += n
	return nil
}

func (s *street) Enter(r role.Role, who role.Tenant, t *Tenant) (func(error), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	if r.Name != "discovery" || who != finder().Tenant() {
		s.t.Errorf("%s serves %s", who, r)
	}
	s.tenants = append(s.tenants, t)
	return func(error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.left++
	}, nil
}

// visitor is the sliver's end of a connection.
type visitor struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (s *street) dial() *visitor {
	s.t.Helper()
	here, there := net.Pipe()
	s.dials <- there
	s.t.Cleanup(func() { here.Close() })
	return &visitor{s.t, here, bufio.NewReaderSize(here, role.MaxLine)}
}

func (v *visitor) say(format string, args ...any) error {
	_, err := fmt.Fprintf(v, format+"\n", args...)
	return err
}

// hear reads a line; the empty one when the node has hung up.
func (v *visitor) hear() string {
	v.t.Helper()
	line, err := v.r.ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSpace(line)
}

// serve dials and serves discovery.
func (s *street) serve() (*visitor, *Tenant) {
	s.t.Helper()
	v := s.dial()
	if err := v.say(`{"serve":"discovery/1"}`); err != nil {
		s.t.Fatal(err)
	}
	if line := v.hear(); !strings.HasPrefix(line, `{"ok":{"role":"discovery/1","node":"`) {
		s.t.Fatalf("greeted by %q", line)
	}
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return v, s.tenants[len(s.tenants)-1]
}

// outcome is that of a call made beside the test.
type outcome struct {
	parts []string
	done  string
	err   error
}

func (s *street) call(t *Tenant, within time.Duration, ask string) <-chan outcome {
	c, _ := role.Discovery().Call("find")
	got := make(chan outcome, 1)
	go func() {
		ctx, cancel := context.WithTimeout(s.t.Context(), within)
		defer cancel()
		var o outcome
		done, err := t.Call(ctx, c, json.RawMessage(ask), func(p json.RawMessage) error {
			o.parts = append(o.parts, string(p))
			return nil
		})
		o.done, o.err = string(done), err
		got <- o
	}()
	return got
}

func TestASliverServesARole(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		v, tenant := s.serve()
		first, second := s.call(tenant, time.Second, `{"query":"a"}`), (<-chan outcome)(nil)
		if q := v.hear(); q != `{"id":1,"call":"find","within_ms":3000,"ask":{"query":"a"}}` {
			t.Errorf("asked %s", q)
		}
		second = s.call(tenant, time.Second, `{"query":"b"}`)
		v.hear()
		for _, line := range []string{`{"id":2,"part":{"n":2}}`, `{"id":1,"part":{"n":1}}`, `{"id":2,"done":{}}`, `{"id":1,"error":{"code":"busy","text":"later"}}`} {
			if err := v.say("%s", line); err != nil {
				t.Fatal(err)
			}
		}
		if o := <-second; o.err != nil || len(o.parts) != 1 || o.parts[0] != `{"n":2}` || o.done != "{}" {
			t.Errorf("%+v", o)
		}
		var failure *role.Failure
		if o := <-first; !errors.As(o.err, &failure) || failure.Code != "busy" || len(o.parts) != 1 {
			t.Errorf("%+v", o)
		}
		v.Close()
		synctest.Wait()
		if o := <-s.call(tenant, time.Second, `{}`); !errors.Is(o.err, ErrGone) {
			t.Errorf("after it went: %+v", o)
		}
		if s.left != 1 {
			t.Errorf("left %d times", s.left)
		}
		if s.charged["abcd role egress"] < 100 || s.charged["abcd role ingress"] < 200 || len(s.charged) != 2 {
			t.Errorf("charged %v", s.charged)
		}
	})
}

// Whatever a tenant does, the node is told of an error, and hangs up on who does
// not keep to the protocol.
func TestTenantsThatBreakTheProtocol(t *testing.T) {
	long := strings.Repeat("x", role.MaxLine-100)
	endless := func(v *visitor) {
		for range role.MaxAnswer/role.MaxLine + 2 {
			if v.say(`{"id":1,"part":"%s"}`, long) != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		do   func(v *visitor)
		want string
	}{
		"garbage":         {func(v *visitor) { v.say("{what}") }, "not understood"},
		"another's id":    {func(v *visitor) { v.say(`{"id":2,"done":{}}`) }, "nobody asks"},
		"no end":          {endless, "an answer of more than"},
		"a long line":     {func(v *visitor) { v.say(`{"id":1,"part":"%s"}`, long+long) }, "a line of more than"},
		"many parts":      {func(v *visitor) { say(v, role.MaxParts+1, `{"id":1,"part":0}`) }, "more than 4096 parts"},
		"another tongue":  {func(v *visitor) { v.say("GET / HTTP/1.1\r\n\r\n") }, "not understood"},
		"serves again":    {func(v *visitor) { v.say(`{"serve":"discovery/1"}`) }, "not understood"},
		"says who it is":  {func(v *visitor) { v.say(`{"id":1,"done":{},"slice":"web@bob"}`) }, "unknown field"},
		"vanishes":        {func(v *visitor) { v.Close() }, "hung up"},
		"breaks off":      {func(v *visitor) { io.WriteString(v, `{"id":1,`); v.Close() }, "broke off"},
		"done, then more": {func(v *visitor) { v.say(`{"id":1,"done":{}}`); v.say(`{"id":1,"done":{}}`) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inStreet(t, func(t *testing.T, s *street) {
				v, tenant := s.serve()
				got := s.call(tenant, time.Minute, `{}`)
				v.hear()
				began := time.Now()
				c.do(v)
				o := <-got
				if (o.err == nil) != (c.want == "") || o.err != nil && !strings.Contains(o.err.Error(), c.want) {
					t.Errorf("%v", o.err)
				}
				if line := v.hear(); line != "" {
					t.Errorf("heard %q", line)
				}
				if time.Since(began) > time.Second {
					t.Errorf("it took %s", time.Since(began))
				}
				synctest.Wait()
				if broke := s.house.Counts()["broke the role protocol"]; (broke == 1) != (name != "vanishes" && name != "breaks off") {
					t.Errorf("counted %v", s.house.Counts())
				}
				if s.left != 1 {
					t.Errorf("left %d times", s.left)
				}
			})
		})
	}
}

func say(v *visitor, times int, line string) {
	for range times {
		if v.say("%s", line) != nil {
			return
		}
	}
}

// Who is silent is told that nobody waits, and what it says late is borne.
func TestATenantThatHangs(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		v, tenant := s.serve()
		got := s.call(tenant, time.Second, `{}`)
		v.hear()
		if o := <-got; !errors.Is(o.err, context.DeadlineExceeded) {
			t.Errorf("%+v", o)
		}
		if line := v.hear(); line != `{"id":1,"cancel":true}` {
			t.Errorf("told %s", line)
		}
		next := s.call(tenant, time.Second, `{}`)
		v.hear()
		for _, line := range []string{`{"id":1,"part":{}}`, `{"id":1,"done":{}}`, `{"id":2,"done":{}}`} {
			v.say("%s", line)
		}
		if o := <-next; o.err != nil {
			t.Errorf("%+v", o)
		}
		v.say(`{"id":1,"done":{}}`)
		if line := v.hear(); line != "" {
			t.Errorf("an answer twice: %s", line)
		}
	})
}

// More than it may have in flight is not asked, and who does not read is hung up on.
func TestATenantThatDoesNotRead(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		_, tenant := s.serve()
		var calls []<-chan outcome
		for range role.MaxInFlight + 1 {
			calls = append(calls, s.call(tenant, time.Minute, `{}`))
			synctest.Wait()
		}
		if o := <-calls[role.MaxInFlight]; !errors.Is(o.err, ErrBusy) {
			t.Errorf("%+v", o)
		}
		for _, c := range calls[:role.MaxInFlight] {
			if o := <-c; !errors.Is(o.err, ErrGone) {
				t.Fatalf("%+v", o)
			}
		}
		if o := <-s.call(tenant, time.Second, `"`+strings.Repeat("x", role.MaxLine)+`"`); !errors.Is(o.err, ErrAsk) {
			t.Errorf("%+v", o)
		}
	})
}

func TestWhoIsRefused(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		for line, want := range map[string]string{
			`{"serve":"emperor/1"}`:                     `{"error":{"code":"role","text":"role \"emperor\": no such role"}}`,
			`{"serve":"discovery/9"}`:                   `"code":"role"`,
			`{"serve":"keeper/0"}`:                      `this node speaks keeper/1`,
			`{"serve":7}`:                               `"code":"line"`,
			`{"serve":"discovery/1","slice":"web@bob"}`: `"code":"line"`,
		} {
			v := s.dial()
			v.say("%s", line)
			if got := v.hear(); !strings.Contains(got, want) {
				t.Errorf("%s: %s", line, got)
			}
			if got := v.hear(); got != "" {
				t.Errorf("%s: then %s", line, got)
			}
		}
		s.refuse = ErrServed
		v := s.dial()
		v.say(`{"serve":"discovery/1"}`)
		if got := v.hear(); got != `{"error":{"code":"served","text":"already served by this slice"}}` {
			t.Errorf("the second: %s", got)
		}
	})
}

// The same door has the sliver ask, over HTTP.
func TestASliverAsks(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return s.dial().Conn, nil }}}
		for range 3 {
			resp, err := client.Get("http://node/v1/self?x=1")
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(b) != "abcd asks /v1/self?x=1\n" {
				t.Errorf("%q, %v", b, err)
			}
		}
		client.CloseIdleConnections()
		synctest.Wait()
		if s.charged["abcd shim egress"] < 100 || s.charged["abcd shim ingress"] < 300 || len(s.charged) != 2 {
			t.Errorf("charged %v", s.charged)
		}
	})
}

// One sliver has few connections, and one that says nothing is let go.
func TestConnectionsAreFew(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		var open []*visitor
		for range maxConns {
			open = append(open, s.dial())
		}
		if v := s.dial(); v.hear() != "" {
			t.Error("one more is let in")
		}
		began := time.Now()
		for _, v := range open {
			v.hear()
		}
		if time.Since(began) > firstByte+time.Second {
			t.Errorf("who says nothing stays for %s", time.Since(began))
		}
		v, _ := s.serve()
		if v == nil || s.house.Counts()["said nothing"] != maxConns || s.house.Counts()["more connections than one sliver may have"] != 1 {
			t.Errorf("%v", s.house.Counts())
		}
	})
}

// Who breaks the protocol again and again is let in no faster than a sliver may dial.
func TestDialsArePaced(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		began := time.Now()
		const dials = dialBurst + 2*dialRate
		for range dials {
			v := s.dial()
			v.say("{what}")
			for v.hear() != "" {
			}
		}
		if took := time.Since(began); took < 1900*time.Millisecond || took > 3*time.Second { // in virtual time
			t.Errorf("%d dials took %s", dials, took)
		}
		if n := s.house.Counts()["broke the role protocol"]; n < dials-1 {
			t.Errorf("%d of %d are counted", n, dials)
		}
	})
}

// The directory stays when the socket is made anew: a sliver has it mounted.
func TestSocketsAreMadeAnew(t *testing.T) {
	top, err := os.MkdirTemp("", "doors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	d := Dir(filepath.Join(top, "n", "d"))
	first, at, err := d.Open("abcd", me())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	before, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	first.(listener).SetUnlinkOnClose(false) // as a daemon does that is killed
	first.Close()
	second, again, err := d.Open("abcd", me())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	after, err := os.Stat(again)
	if err != nil || !os.SameFile(before, after) || after.Mode().Perm() != 0o711 {
		t.Errorf("%v, %v, %v", before, after, err)
	}
	socket, err := os.Stat(filepath.Join(at, SocketName))
	if err != nil || socket.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", socket, err)
	}
	if c, err := net.Dial("unix", filepath.Join(at, SocketName)); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if err := d.Remove("abcd"); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(top); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// An answer ends once, also while who asked has not looked at its end yet.
func TestAnswersEndOnce(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	tenant := newTenant(&paid{Conn: there, ctx: t.Context(), stop: func() {}})
	if _, _, err := tenant.begin(role.Call{Name: "find", Bytes: 256}, json.RawMessage("{}")); err != nil {
		t.Fatal(err)
	}
	if err := tenant.take([]byte(`{"id":1,"done":{}}`)); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`{"id":1,"done":{}}`, `{"id":1,"part":{}}`, `{"id":1,"error":{"code":"no","text":""}}`} {
		if err := tenant.take([]byte(line)); !errors.Is(err, ErrBroke) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
