// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"croft/lease"
	"croft/lease/sign"
	"croft/node/api"
	"croft/node/wire"
	"croft/sandbox"
)

// Node is an end-to-end channel to one node, opened when first used.
type Node struct {
	Principal lease.Principal
	pipe      func(context.Context) (net.Conn, error)
	key       *sign.Key
	http      *http.Client
	authority string // in base64; empty: for oneself
}

// Node returns the channel to a node for the holder of key.
func (w *Way) Node(node lease.Principal, key *sign.Key) *Node {
	return Over(node, key, func(ctx context.Context) (net.Conn, error) { return w.pipe(ctx, node) })
}

// Over is [Way.Node] for who brings the bytes to the node himself.
func Over(node lease.Principal, key *sign.Key, pipe func(context.Context) (net.Conn, error)) *Node {
	n := &Node{Principal: node, pipe: pipe, key: key}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return n.dial(ctx) }
	n.http = &http.Client{Transport: showing{n, &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 4, DisableCompression: true}}}
	return n
}

// Under has the node shown, with every call from now on, what lets the holder
// of the key act on a slice of another's: see lease.OpenAuthority. It is called
// before the first call.
func (n *Node) Under(authority []byte) *Node {
	n.authority = base64.StdEncoding.EncodeToString(authority)
	return n
}

// showing puts the authority into every request, and says when the channel ends.
type showing struct {
	node *Node
	*http.Transport
}

// Close drops the idle connections.
func (n *Node) Close() { n.http.CloseIdleConnections() }

// dial opens a channel, at the second attempt if need be: the first may have
// gone over a connection of the way in that turned out to be dead.
func (n *Node) dial(ctx context.Context) (net.Conn, error) {
	conn, err := n.open(ctx)
	if errors.Is(err, wire.ErrHandshake) && ctx.Err() == nil {
		conn, err = n.open(ctx)
	}
	return conn, err
}

// open opens a Noise channel inside a pipe.
func (n *Node) open(ctx context.Context) (net.Conn, error) {
	pipe, err := n.pipe(ctx)
	if err != nil {
		return nil, err
	}
	secure, err := wire.Secure(ctx, pipe, n.key.Private(), n.Principal)
	if err != nil {
		pipe.Close()
		return nil, fmt.Errorf("opening a channel to %s: %w: %w", n.Principal.Short(), api.ErrUnreachable, err)
	}
	return secure, nil
}

// pipe opens bytes to a node through the way in.
func (w *Way) pipe(ctx context.Context, node lease.Principal) (net.Conn, error) {
	raw, err := w.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", ErrNoDaemon, w.socket, err)
	}
	pipe, err := upgrade(ctx, raw, "/v1/nodes/"+node.String()+"/pipe", "croft-pipe", nil)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("opening a pipe to %s: %w", node.Short(), err)
	}
	return pipe, nil
}

// Wish asks for a hold.
func (n *Node) Wish(ctx context.Context, chain [][]byte) (a api.Answer, err error) {
	return a, call(ctx, n.http, "POST", "/v1/holds", api.WishRequest{Chain: chain}, &a)
}

// Commit turns a hold into a lease.
func (n *Node) Commit(ctx context.Context, hold lease.ID) (a api.Answer, err error) {
	return a, call(ctx, n.http, "POST", "/v1/holds/"+idText(hold)+"/commit", nil, &a)
}

// Activate starts a lease's sliver.
func (n *Node) Activate(ctx context.Context, id lease.ID, program json.RawMessage) (a api.Answer, err error) {
	return a, call(ctx, n.http, "POST", "/v1/leases/"+idText(id)+"/activate", api.ActivateRequest{Program: program}, &a)
}

// Vacancies asks when a lease would be granted.
func (n *Node) Vacancies(ctx context.Context, req api.VacancyRequest) (v api.Vacancies, err error) {
	return v, call(ctx, n.http, "POST", "/v1/vacancies", req, &v)
}

// End ends a lease or hold by a signed close.
func (n *Node) End(ctx context.Context, close []byte) (a api.Answer, err error) {
	return a, call(ctx, n.http, "POST", "/v1/close", api.EndRequest{Close: close}, &a)
}

// Tickets returns the tickets that the caller holds of the node.
func (n *Node) Tickets(ctx context.Context) (t []api.HeldTicket, err error) {
	return t, call(ctx, n.http, "GET", "/v1/tickets/mine", nil, &t)
}

// Tell gives the node a slice's record and returns the one that counts there.
func (n *Node) Tell(ctx context.Context, record []byte) ([]byte, error) {
	var r api.SliceRecord
	err := call(ctx, n.http, "POST", "/v1/slices", api.SliceRecord{Record: record}, &r)
	return r.Record, err
}

// Slivers returns the caller's slivers on the node.
func (n *Node) Slivers(ctx context.Context) (s []api.Sliver, err error) {
	return s, call(ctx, n.http, "GET", "/v1/slivers", nil, &s)
}

// Traffic returns what the guard counted for a sliver.
func (n *Node) Traffic(ctx context.Context, sliver string) (t api.Traffic, err error) {
	return t, call(ctx, n.http, "GET", "/v1/slivers/"+url.PathEscape(sliver)+"/traffic", nil, &t)
}

// Figures returns what is counted of the slivers of a slice of the caller's.
func (n *Node) Figures(ctx context.Context, slice string) (f []api.Figures, err error) {
	return f, call(ctx, n.http, "GET", "/v1/figures?slice="+url.QueryEscape(slice), nil, &f)
}

// Messages returns what others had to say about packets of the caller's slice.
func (n *Node) Messages(ctx context.Context, slice string) (m []api.Message, err error) {
	return m, call(ctx, n.http, "GET", "/v1/audit/messages?slice="+url.QueryEscape(slice), nil, &m)
}

// Flows returns the recorded flows of the caller's slice.
func (n *Node) Flows(ctx context.Context, slice string) (f []api.Flow, err error) {
	return f, call(ctx, n.http, "GET", "/v1/audit/flows?slice="+url.QueryEscape(slice), nil, &f)
}

// Who asks which slice sent a packet.
func (n *Node) Who(ctx context.Context, q api.WhoRequest) (a api.WhoAnswer, err error) {
	return a, call(ctx, n.http, "POST", "/v1/audit/who", q, &a)
}

// Log returns the node's newest head, and what shows it to go on from one of so
// many segments; 0 for none.
func (n *Node) Log(ctx context.Context, size uint64) (l api.Log, err error) {
	return l, call(ctx, n.http, "GET", "/v1/audit/log?size="+strconv.FormatUint(size, 10), nil, &l)
}

// Witnessed returns what the node, as a witness, saw of another's log.
func (n *Node) Witnessed(ctx context.Context, of lease.Principal) (w api.Witnessed, err error) {
	return w, call(ctx, n.http, "GET", "/v1/audit/witnessed/"+of.String(), nil, &w)
}

// Logs copies a sliver's output to w; with follow until ctx ends.
func (n *Node) Logs(ctx context.Context, sliver string, opt sandbox.LogOptions, w io.Writer) error {
	q := url.Values{}
	if opt.Follow {
		q.Set("follow", "1")
	}
	if opt.Tail > 0 {
		q.Set("tail", strconv.Itoa(opt.Tail))
	}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://node/v1/slivers/"+url.PathEscape(sliver)+"/logs?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := do(n.http, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

// upgrade sends a GET that takes the connection over.
func upgrade(ctx context.Context, conn net.Conn, path, protocol string, head http.Header) (net.Conn, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://node"+path, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range head {
		req.Header[k] = v
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", protocol)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	return &upgraded{Conn: conn, r: r}, nil
}

// upgraded is a connection whose first bytes the HTTP reader may hold.
type upgraded struct {
	net.Conn
	r *bufio.Reader
}

func (c *upgraded) Read(p []byte) (int, error) { return c.r.Read(p) }
