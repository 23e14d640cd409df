// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/client"
)

// node is a way in that keeps what is said, has a record of bob's and two peers.
type node struct{ said []topic.Opened }

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	give := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/status":
		give(api.Status{Node: leasetest.Who("node"), Name: "n1"})
	case "GET /v1/net":
		give(api.Net{Peers: []api.Peer{{Node: leasetest.Who("a"), Name: "a", Direct: true, RTT: 7}, {Node: leasetest.Who("b"), Name: "b"}, {ID: "of another kind"}}})
	case "GET /v1/slices/" + leasetest.Who("bob").String():
		now, bob := time.Now().Unix(), leasetest.Key("bob")
		r, err := lease.SealSlice(lease.SliceRecord{Owner: bob.Principal(), Slice: "web", Sequence: 1, Made: now, Until: now + 3600, Nodes: []lease.Principal{leasetest.Who("node")},
			Topics: []lease.Topic{{Name: "load", Principals: []lease.Principal{leasetest.Who("alice")}}, {Name: "wishes", Publishers: lease.ByAnybody}}}, bob)
		if err != nil {
			api.Fail(w, err)
			return
		}
		give(api.SliceRecord{Record: r.Bytes})
	case "POST /v1/topics":
		var req api.SayRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			api.Fail(w, api.ErrBadRequest)
			return
		}
		m, err := topic.Open(req.Message)
		switch {
		case err != nil:
			api.Fail(w, api.ErrBadRequest)
		case m.Owner == leasetest.Who("bob"):
			give(api.Said{ID: m.ID, Neighbours: 7})
		default:
			n.said = append(n.said, m)
			give(api.Said{ID: m.ID, Neighbours: 1})
		}
	default:
		api.Fail(w, api.ErrVisitor)
	}
}

func TestADeskAnswersAsADoor(t *testing.T) {
	dir := t.TempDir()
	way, desk := filepath.Join(dir, "way"), filepath.Join(dir, "desk")
	n := &node{}
	l, err := net.Listen("unix", way)
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, n)
	t.Cleanup(func() { l.Close() })
	if l, err = net.Listen("unix", desk); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	d := &Desk{Way: client.New(way), Key: leasetest.Key("alice"), Label: "web"}
	go func() { over <- d.Serve(ctx, l) }()
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", desk)
	}}}
	for _, c := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"GET", "/v1/self", "", 200, `"slice":"web@` + leasetest.Who("alice").String()},
		{"GET", "/v1/slivers", "", 200, `"sliver":"desk"`},
		{"GET", "/v1/lease", "", 200, `"until":0`},
		{"GET", "/v1/traffic", "", 409, "nothing is counted on a desktop"},
		{"GET", "/v1/paths", "", 200, `"way":"direct","rtt_ms":7,"asked":1,"missed":0,"loss":0}`},
		{"GET", "/v1/paths", "", 200, `"way":"relayed","asked":1,"missed":1,"loss":1}`},
		{"GET", "/v1/paths/" + leasetest.Who("a").String(), "", 200, `"way":"direct"`},
		{"GET", "/v1/paths/" + leasetest.Who("c").String(), "", 200, `"way":"none"`},
		{"POST", "/v1/topics/load", "abc", 200, `"neighbours":1`},
		{"POST", "/v1/topics/load", "abc", 200, `"neighbours":1`},
		{"POST", "/v1/topics/" + leasetest.Who("bob").String() + "/web/load", "abc", 403, "let"}, // though alice may
		{"POST", "/v1/topics/" + leasetest.Who("bob").String() + "/web/wishes", "abc", 200, `"neighbours":7`},
		{"GET", "/v1/topics/load", "", 501, "visitor"},
		{"POST", "/v1/find", `{"query":"cpu>=1","view":true}`, 501, "visitor"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://desk"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(c.body, "{") {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := web.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(b), c.has) {
			t.Errorf("%s %s: %d %s, %v", c.method, c.path, resp.StatusCode, b, err)
		}
	}
	if len(n.said) != 2 || n.said[0].ID == n.said[1].ID || n.said[0].Author != leasetest.Who("alice") || n.said[0].Slice != "web" || string(n.said[0].Data) != "abc" {
		t.Errorf("said %+v", n.said)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// A way in on which nobody listens is told as such.
func TestADeskWithoutANode(t *testing.T) {
	d := &Desk{Way: client.New(filepath.Join(t.TempDir(), "none")), Key: leasetest.Key("alice"), Label: "web"}
	if _, err := d.Self(t.Context()); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	if _, err := d.Paths(t.Context()); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	for _, name := range []topic.Name{{Topic: "load"}, {Owner: leasetest.Who("bob"), Slice: "web", Topic: "load"}} {
		if _, err := d.Publish(t.Context(), name, nil); !errors.Is(err, api.ErrUnreachable) {
			t.Errorf("%v", err)
		}
		for _, err := range d.Hear(t.Context(), name, func() {}) {
			if !errors.Is(err, api.ErrUnreachable) {
				t.Errorf("%v", err)
			}
		}
	}
}
