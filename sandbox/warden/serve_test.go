// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"errors"
	"net"
	"testing"
	"time"

	"croft/sandbox"
)

// answering is a warden that answers, and minds nothing.
func answering(t *testing.T) *warden {
	t.Helper()
	w := &warden{dir: dir(t.TempDir()), over: make(chan struct{}), changed: make(chan struct{}),
		status: sandbox.Status{Sliver: "s", State: sandbox.Running}}
	var err error
	if w.ring, err = openRing(w.dir.file("log")); err != nil {
		t.Fatal(err)
	}
	if err := w.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.listener.Close()
		w.talks.Wait()
	})
	return w
}

func call(t *testing.T, w *warden) *conn {
	t.Helper()
	path, release, err := shortPath(w.dir, "warden.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	to := &conn{UnixConn: c.(*net.UnixConn)}
	t.Cleanup(func() { to.Close() })
	return to
}

// Whatever comes in on its socket, a warden goes on answering.
func TestGarbageOnTheSocket(t *testing.T) {
	w := answering(t)
	for _, garbage := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\xff\xff\xff\xff", "\x00\x00\x00\x05{\"op\"", "\x00\x00\x00\x02[]", "\x00\x00\x00\x00"} {
		c := call(t, w)
		if _, err := c.Write([]byte(garbage)); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := decode(c, &reply{}); err == nil {
			t.Errorf("%q is answered", garbage)
		}
	}
	for _, q := range []request{{}, {Op: "frobnicate"}, {Op: opExtend}, {Op: opLogs}, {Op: opExec}, {Op: opExec, Exec: &sandbox.Exec{}}} {
		c := call(t, w)
		if err := c.send(q); err != nil {
			t.Fatal(err)
		}
		var p reply
		if err := decode(c, &p); err != nil || p.Error.err() == nil {
			t.Errorf("%+v: %+v, %v", q, p, err)
		}
	}
	c := call(t, w)
	if err := c.send(request{Op: opStatus}); err != nil {
		t.Fatal(err)
	}
	var p reply
	if err := decode(c, &p); err != nil || p.Status == nil || p.Status.Sliver != "s" {
		t.Errorf("after it all: %+v, %v", p, err)
	}
}

// Those who follow a log are bounded, and cannot keep the daemon out.
func TestReadersLeaveRoomForTheDaemon(t *testing.T) {
	if maxReaders+maxExecs+8 > maxConns {
		t.Error("no room is left for the daemon")
	}
	w := answering(t)
	w.ring.add("stdout", true, []byte("here"))
	follow := request{Op: opLogs, Logs: &sandbox.LogOptions{Follow: true}}
	var all []*conn
	for range maxReaders {
		c := call(t, w)
		var p reply
		if err := errors.Join(c.send(follow), decode(c, &p)); err != nil || string(p.Data) != "here\n" {
			t.Fatalf("%+v, %v", p, err)
		}
		all = append(all, c)
	}
	var p reply
	c := call(t, w)
	if err := errors.Join(c.send(follow), decode(c, &p)); err != nil || !errors.Is(p.Error.err(), sandbox.ErrBusy) {
		t.Errorf("one more: %+v, %v", p, err)
	}
	c = call(t, w)
	if err := errors.Join(c.send(request{Op: opStatus}), decode(c, &p)); err != nil || p.Status == nil {
		t.Errorf("the daemon: %+v, %v", p, err)
	}
	close(w.over) // the sliver ends, and with it their reading
	for _, c := range all {
		var p reply
		if err := decode(c, &p); err != nil || p.Status == nil {
			t.Errorf("at the end: %+v, %v", p, err)
		}
	}
	if w.mu.Lock(); w.readers != 0 {
		t.Errorf("%d readers are left", w.readers)
	}
	w.mu.Unlock()
}
