// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/wire"
	"croft/sandbox"
)

// A channel that ends, as one does whose relayed connection has used up its quota, is
// told as that, wherever in an answer it ends, and the next call has another.
func TestChannelThatEnds(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
	answers := make(chan string, 1)
	opened := 0
	node := Over(leasetest.Who("node"), leasetest.Key("alice"), func(context.Context) (net.Conn, error) {
		opened++
		near, far := net.Pipe()
		go func() {
			c, _, err := wire.Accept(t.Context(), far, leasetest.Key("node").Private())
			if err != nil {
				return
			}
			defer far.Close() // without the end of the channel
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, <-answers)
			}
		}()
		return near, nil
	})
	defer node.Close()
	for _, cut := range []string{"", "HTTP/1.1 200 OK\r\n", whole[:len(whole)-1]} {
		answers <- cut
		if _, err := node.Slivers(t.Context()); !errors.Is(err, api.ErrUnreachable) || !strings.Contains(err.Error(), "ended before the answer") {
			t.Errorf("after %q: %v", cut, err)
		}
	}
	answers <- "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlog\n\r\n"
	var got strings.Builder
	if err := node.Logs(t.Context(), "s", sandbox.LogOptions{Follow: true}, &got); !errors.Is(err, api.ErrUnreachable) || got.String() != "log\n" {
		t.Errorf("a log: %q, %v", got.String(), err)
	}
	answers <- "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: croft-exec\r\n\r\n"
	if _, err := node.Exec(t.Context(), "s", sandbox.Exec{}, sandbox.IO{Out: &got}); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("a session: %v", err)
	}
	answers <- whole
	if s, err := node.Slivers(t.Context()); err != nil || len(s) != 0 || opened < 6 {
		t.Errorf("%v, %v after %d channels", s, err, opened)
	}
	// What the caller breaks off is his.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := node.Slivers(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, api.ErrUnreachable) {
		t.Errorf("broken off: %v", err)
	}
}
