// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"croft/ebpf/ebpftest"
)

// The guard sees TCP in packets of up to 64 kB and counts what they become: no
// packet above the MTU, and a header each.
func TestRootTCPIsCountedAsOnTheWire(t *testing.T) {
	w := newWorld(t, Config{})
	at, own, _ := w.NewPort("tcp")
	must(t, w.guard.Attach(t.Context(), at, w.limits(own)))
	w.Up(at)
	var server net.Listener
	w.in(w.node, func() (err error) {
		server, err = net.Listen("tcp4", ebpftest.Remote.String())
		return err
	})
	defer server.Close()
	received := make(chan int64, 1)
	go func() {
		c, err := server.Accept()
		if err != nil {
			received <- -1
			return
		}
		defer c.Close()
		n, _ := io.Copy(io.Discard, c)
		received <- n
	}()
	var conn net.Conn
	w.in(w.inner[at.Place], func() (err error) {
		conn, err = net.DialTimeout("tcp4", ebpftest.Remote.String(), 10*time.Second)
		return err
	})
	const payload = 32 << 20
	_, err := conn.Write(make([]byte, payload))
	must(t, errors.Join(err, conn.Close()))
	if n := <-received; n != payload {
		t.Fatalf("%d of %d octets arrived", n, payload)
	}
	c, err := w.guard.Counters(t.Context(), "tcp")
	must(t, err)
	const mtu, smallestHeaders, largestPayload = 1500, 40, 1460
	e := c.Egress
	if e.PassedBytes > e.PassedPackets*mtu || e.PassedPackets < payload/largestPayload ||
		e.PassedBytes < payload+e.PassedPackets*smallestHeaders || e.DroppedPackets() != 0 {
		t.Fatalf("%d octets of payload are %+v", payload, e)
	}
}
