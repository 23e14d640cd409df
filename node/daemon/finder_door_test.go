// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
)

// atDoor has a slice serve the role at a door of its own until the test ends: serve is
// given the socket and returns what ends it. It returns when the slice can be asked.
func (o *office) atDoor(b testing.TB, d *Daemon, serve func(b testing.TB, socket string) (stop func())) role.Tenant {
	b.Helper()
	top, err := os.MkdirTemp("", "doors")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(top) })
	l, at, err := door.Dir(filepath.Join(top, "n", "d")).Open("abcd", door.Users{First: uint32(os.Getuid()), Count: 1})
	if err != nil {
		b.Fatal(err)
	}
	who := door.Sliver{Name: "abcd", Label: "heir", Owner: leasetest.Who("alice")}
	house := &door.House{Node: d.deps.Key.Principal(), Guard: noCharge{}, Roles: d.roles, Log: d.deps.Log,
		HTTP: func(who door.Sliver) *http.Server { return api.Server(api.Door(newShim(d, who), Version)) }}
	ctx, cancel := context.WithCancel(b.Context())
	over := make(chan error, 1)
	go func() { over <- house.Serve(ctx, l, who) }()
	b.Cleanup(func() { cancel(); <-over })
	b.Cleanup(serve(b, filepath.Join(at, door.SocketName)))
	ready := time.NewTicker(10 * time.Millisecond)
	defer ready.Stop()
	for limit := time.After(30 * time.Second); ; {
		o.mu.Lock()
		t := o.tenants[who.Tenant()]
		o.mu.Unlock()
		if t != nil && knowsAll(b, t, stayed(d.view())) {
			return who.Tenant()
		}
		select {
		case <-ready.C:
		case <-limit:
			b.Fatal("it does not serve")
		}
	}
}

// knowsAll reports whether a tenant has heard of every node.
func knowsAll(b testing.TB, t tenant, all int) bool {
	call, _ := role.Discovery().Call("find")
	var done findDone
	raw, err := t.Call(b.Context(), call, json.RawMessage(`{"query":"","view":true,"constraints":[]}`), func(json.RawMessage) error { return nil })
	return err == nil && json.Unmarshal(raw, &done) == nil && done.Known == all
}

// stayed counts the nodes that have not withdrawn.
func stayed(view []*offer.Opened) (n int) {
	for _, o := range view {
		if !o.Closed {
			n++
		}
	}
	return n
}

// finderAt runs the finder of the examples.
func finderAt(b testing.TB, socket string) func() {
	b.Helper()
	c := exec.Command("python3", "../../examples/finder/finder.py")
	c.Env = append(os.Environ(), "CROFT_SOCKET="+socket)
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	return func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}
