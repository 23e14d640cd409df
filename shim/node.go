// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Version is that of the routes that this package asks by; [Self].Shim is the node's.
const Version = 1

const (
	mediaJSON  = "application/json"
	mediaBytes = "application/octet-stream"
)

// DefaultSocket is where a sliver finds its node's socket.
const DefaultSocket = "/run/croft/node.sock"

// Node is the node on which the sliver runs.
type Node struct {
	dialer func(context.Context) (net.Conn, error)
	http   *http.Client
}

// Open returns the node behind CROFT_SOCKET, or [DefaultSocket]. Nothing is dialled
// yet.
func Open() *Node { return At(cmp.Or(os.Getenv("CROFT_SOCKET"), DefaultSocket)) }

// At returns the node behind a socket.
func At(socket string) *Node {
	return By(func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", socket) })
}

// By returns the node behind connections of another kind.
func By(dial func(context.Context) (net.Conn, error)) *Node {
	n := &Node{dialer: dial}
	n.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2, MaxConnsPerHost: maxConns, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.dial(ctx) }}}
	return n
}

func (n *Node) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	return n.dialer(ctx)
}

// Self is who a sliver is, and where.
type Self struct {
	Sliver string `json:"sliver"`
	Slice  string `json:"slice"` // label@owner
	Label  string `json:"label"`
	Owner  string `json:"owner"` // a principal
	Node   string `json:"node"`  // a principal
	Name   string `json:"name"`  // of the node, as people see it
	Shim   int    `json:"shim"`  // version of the node's routes
}

// Self returns who this sliver is.
func (n *Node) Self(ctx context.Context) (s Self, err error) {
	return s, n.get(ctx, "/v1/self", &s)
}

// Sliver is a part of this slice.
type Sliver struct {
	Sliver string `json:"sliver"`
	Node   string `json:"node"`
	State  string `json:"state"`  // created, starting, running, …
	Public string `json:"public"` // address of its public ports, if it has any
	Ports  []Port `json:"ports"`
	Self   bool   `json:"self"`
}

// Port is a leased public port and where it leads in the sliver.
type Port struct {
	Proto  int    `json:"proto"`  // IP protocol number: 6 is TCP, 17 UDP
	Number uint16 `json:"number"` // on the node
	Inside uint16 `json:"inside"` // in the sliver
}

// Slivers returns this slice's slivers on this node, this one too.
func (n *Node) Slivers(ctx context.Context) (list []Sliver, err error) {
	return list, n.get(ctx, "/v1/slivers", &list)
}

// Result is an answer to a query.
type Result struct {
	Offers  []Found `json:"offers"`
	Known   int     `json:"known"`
	Matched int     `json:"matched"`
}

// Found is an offer that the node verified, and where it is from.
type Found struct {
	Offer  Offer         `json:"offer"`
	Signed []byte        `json:"signed"`
	Source string        `json:"source"`
	Age    time.Duration `json:"age_ns"`
	RTT    time.Duration `json:"rtt_ns"` // 0: not known
}

// Offer is what a node says of itself; Raw has all of it.
type Offer struct {
	Node       string          `json:"node"`
	Name       string          `json:"name"`
	Sequence   uint64          `json:"sequence"`
	Made       int64           `json:"made"`        // Unix seconds
	Until      int64           `json:"valid_until"` // Unix seconds
	Closed     bool            `json:"closed"`
	Attributes json.RawMessage `json:"attributes"`
	Free       []Free          `json:"free"`
	Addrs      []string        `json:"addrs"`
}

// Free is what one pool of a node has left.
type Free struct {
	Pool string            `json:"pool"`
	RSet map[string]uint64 `json:"rset"`
}

// Find asks for nodes by a query, in the language of `croft find`.
func (n *Node) Find(ctx context.Context, query string) (r Result, err error) {
	body, err := json.Marshal(map[string]any{"query": query, "view": true})
	if err != nil {
		return r, err
	}
	return r, n.ask(ctx, "POST", "/v1/find", mediaJSON, body, &r)
}

// Offers yields the offers that gossip brought the node and that came to it since then,
// by its clock; the zero time is all. After an error nothing follows.
func (n *Node) Offers(ctx context.Context, since time.Time) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		path := "/v1/offers"
		if !since.IsZero() {
			path += "?since=" + strconv.FormatInt(since.Unix(), 10)
		}
		found, err := stream[Found](ctx, n, path)
		if err != nil {
			yield(Found{}, err)
			return
		}
		found(yield)
	}
}

func (n *Node) get(ctx context.Context, path string, into any) error {
	return n.ask(ctx, "GET", path, "", nil, into)
}

func (n *Node) ask(ctx context.Context, method, path, media string, body []byte, into any) error {
	resp, err := n.do(ctx, method, path, media, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("reading the node's answer to %s: %w", path, err)
	}
	return nil
}

// do returns a good answer, or the problem in a bad one.
func (n *Node) do(ctx context.Context, method, path, media string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", media)
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the node: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem)) // what cannot be read is no sentence
	return nil, refusal(resp.StatusCode, b)
}
