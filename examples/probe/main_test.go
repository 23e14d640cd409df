// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/shim"
)

// A node names ports of its own, and who names another's is not measured there.
func TestOwns(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "node.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask struct{ Query string }
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || !strings.HasPrefix(ask.Query, "node=") {
			http.Error(w, "want a query", http.StatusBadRequest)
			return
		}
		switch node := strings.TrimPrefix(ask.Query, "node="); node {
		case "a", "relayed":
			addr := "/ip4/192.0.2.7/udp/4001/quic-v1"
			if node == "relayed" {
				addr += "/p2p/12D3/p2p-circuit"
			}
			fmt.Fprintf(w, `{"offers":[{"offer":{"node":%q,"addrs":["/ip6/2001:db8::7/tcp/4001",%q]}}],"known":2,"matched":1}`, node, addr)
		case "liar": // another's offer is none of its
			fmt.Fprint(w, `{"offers":[{"offer":{"node":"a","addrs":["/ip4/192.0.2.7/udp/4001/quic-v1"]}}]}`)
		default:
			fmt.Fprint(w, `{"offers":[]}`)
		}
	}))
	node := shim.At(socket)
	for _, c := range []struct {
		node, public string
		own          bool
	}{
		{"a", "192.0.2.7:8649", true},
		{"a", "[2001:db8::7]:16383", true},
		{"a", "192.0.2.7:22", false},
		{"a", "192.0.2.7:16384", false},
		{"a", "192.0.2.8:8649", false},
		{"a", "victim.example:8649", false},
		{"a", "192.0.2.7", false},
		{"a", "", false},
		{"liar", "192.0.2.7:8649", false},
		{"relayed", "192.0.2.7:8649", false}, // the relay's
		{"unknown", "192.0.2.7:8649", false},
	} {
		if err := owns(t.Context(), node, target{Node: c.node, Public: c.public}); (err == nil) != c.own || err != nil && !errors.Is(err, errNotItsOwn) {
			t.Errorf("%s names %s: %v", c.node, c.public, err)
		}
	}
}

// Who names one thing after the other is looked at seldom.
func TestLooksAreSeldom(t *testing.T) {
	s := &targets{all: map[string]target{}, looked: map[string]time.Time{}}
	now := time.Now()
	looks := 0
	for i := range 100 {
		if _, look := s.knows(target{Node: "a", Public: fmt.Sprint(i)}, now.Add(time.Duration(i)*time.Second)); look {
			looks++
		}
	}
	if looks != 10 {
		t.Errorf("%d looks in 100 s", looks)
	}
	s.put(target{Node: "a", Public: "x"}, now)
	if known, look := s.knows(target{Node: "a", Public: "x"}, now); !known || look {
		t.Error("what is measured already is looked at again")
	}
	for i := range 2 * most {
		s.knows(target{Node: fmt.Sprint(i)}, now.Add(time.Hour))
		s.put(target{Node: fmt.Sprint(i)}, now)
	}
	if len(s.looked) > most || len(s.all) > most {
		t.Errorf("%d and %d are remembered", len(s.looked), len(s.all))
	}
}
