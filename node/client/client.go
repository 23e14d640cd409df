// SPDX-License-Identifier: Apache-2.0

// Package client talks to nodes: to the one whose unix socket is at hand, which
// is the way in, and through it to any other.
//
//	way := client.New("/var/lib/croft/run/croft.sock")
//	found, err := way.Find(ctx, offer.FindRequest{Query: "cpu>=1000", View: true})
//	node := way.Node(found.Offers[0].Offer.Node, key)
//	answer, err := node.Wish(ctx, chain)
//
// A [Node] is an end-to-end channel: the way in carries bytes that it can
// neither read, alter nor replay, and the key never leaves this process. The
// same calls serve the node behind the socket itself.
//
// Clients are safe for concurrent use.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"croft/lease"
	"croft/node/api"
)

// Way is the node behind a unix socket.
type Way struct {
	socket string
	dial   func(context.Context) (net.Conn, error)
	http   *http.Client
}

// New returns the way in at a unix socket. Nothing is opened yet.
func New(socket string) *Way {
	return By(socket, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	})
}

// By returns the way in over connections of another kind; errors call it by its name.
func By(name string, dial func(context.Context) (net.Conn, error)) *Way {
	return &Way{socket: name, dial: dial, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}}
}

// Close drops the idle connections.
func (w *Way) Close() { w.http.CloseIdleConnections() }

// Status returns what the node says of itself.
func (w *Way) Status(ctx context.Context) (s api.Status, err error) {
	return s, w.call(ctx, "GET", "/v1/status", nil, &s)
}

// Invitation returns text by which others join, until lasts is over.
func (w *Way) Invitation(ctx context.Context, lasts time.Duration) (i api.Invitation, err error) {
	return i, w.call(ctx, "GET", fmt.Sprintf("/v1/invitation?for=%d", int64(lasts/time.Second)), nil, &i)
}

// Doctor returns every requirement and what is missing.
func (w *Way) Doctor(ctx context.Context) (c []api.Check, err error) {
	return c, w.call(ctx, "GET", "/v1/doctor", nil, &c)
}

// Books returns every lease and hold on the node.
func (w *Way) Books(ctx context.Context) (c []api.Claim, err error) {
	return c, w.call(ctx, "GET", "/v1/books", nil, &c)
}

// Net returns whom the node is connected to, and what that costs.
func (w *Way) Net(ctx context.Context) (n api.Net, err error) {
	return n, w.call(ctx, "GET", "/v1/net", nil, &n)
}

// View returns what the node knows of the others by gossip.
func (w *Way) View(ctx context.Context) (v api.View, err error) {
	return v, w.call(ctx, "GET", "/v1/view", nil, &v)
}

// Figures returns what is counted of every sliver on the node.
func (w *Way) Figures(ctx context.Context) (f []api.Figures, err error) {
	return f, w.call(ctx, "GET", "/v1/figures", nil, &f)
}

// Calendar returns the books of every pool over a term; its zero is a day.
func (w *Way) Calendar(ctx context.Context, term lease.Term) (c api.Calendar, err error) {
	return c, w.call(ctx, "GET", fmt.Sprintf("/v1/calendar?from=%d&until=%d", term.From, term.Until), nil, &c)
}

// Clock returns the time by which the node judges terms, and its machine's.
func (w *Way) Clock(ctx context.Context) (c api.Clock, err error) {
	return c, w.call(ctx, "GET", "/v1/clock", nil, &c)
}

// AcceptClock has the node judge terms by its machine's clock as it is set now.
func (w *Way) AcceptClock(ctx context.Context) (c api.Clock, err error) {
	return c, w.call(ctx, "POST", "/v1/clock/accept", nil, &c)
}

// Revoke ends a lease or hold on the node, after the grace that it states.
func (w *Way) Revoke(ctx context.Context, claim lease.ID, reason string) (a api.Answer, err error) {
	return a, w.call(ctx, "POST", "/v1/leases/"+idText(claim)+"/revoke", api.RevokeRequest{Reason: reason}, &a)
}

// Issue gives a ticket out of the node's capacity.
func (w *Way) Issue(ctx context.Context, req api.IssueRequest) (a api.Answer, err error) {
	return a, w.call(ctx, "POST", "/v1/tickets", req, &a)
}

// Conflicts returns every broken promise that the node knows of, without proofs.
func (w *Way) Conflicts(ctx context.Context) (c []api.Conflict, err error) {
	return c, w.call(ctx, "GET", "/v1/conflicts", nil, &c)
}

// Proof returns one of them with its proof.
func (w *Way) Proof(ctx context.Context, id lease.ID) (c api.Conflict, err error) {
	return c, w.call(ctx, "GET", "/v1/conflicts/"+idText(id), nil, &c)
}

// OptOuts returns the addresses that no sliver sends to, a page at a time.
func (w *Way) OptOuts(ctx context.Context, after string) (o []api.OptOut, err error) {
	return o, w.call(ctx, "GET", "/v1/optouts?after="+url.QueryEscape(after), nil, &o)
}

// OptOut returns one of them with what was attested.
func (w *Way) OptOut(ctx context.Context, addr string) (o api.OptOut, err error) {
	return o, w.call(ctx, "GET", "/v1/optouts/"+url.PathEscape(addr), nil, &o)
}

// TakeOptOut has the node judge attestations and tell the network.
func (w *Way) TakeOptOut(ctx context.Context, text string) (o api.OptOut, err error) {
	return o, w.call(ctx, "POST", "/v1/optouts", api.OptOutRequest{Text: text}, &o)
}

// Accuse has the node verify a proof and tell the network.
func (w *Way) Accuse(ctx context.Context, proof []byte) (c api.Conflict, err error) {
	return c, w.call(ctx, "POST", "/v1/conflicts", api.AccuseRequest{Proof: proof}, &c)
}

// Watched returns the logs of others that the node follows as a witness.
func (w *Way) Watched(ctx context.Context) (l []api.Watched, err error) {
	return l, w.call(ctx, "GET", "/v1/audit/watched", nil, &l)
}

// Who asks which slice sent a packet, as the node's owner: all are named.
func (w *Way) Who(ctx context.Context, q api.WhoRequest) (a api.WhoAnswer, err error) {
	return a, w.call(ctx, "POST", "/v1/audit/who", q, &a)
}

// Messages returns what others had to say about packets of slices on the node.
func (w *Way) Messages(ctx context.Context) (m []api.Message, err error) {
	return m, w.call(ctx, "GET", "/v1/audit/messages", nil, &m)
}

// Alarms returns what is wrong with the node's record, the newest last.
func (w *Way) Alarms(ctx context.Context) (l []api.Alarm, err error) {
	return l, w.call(ctx, "GET", "/v1/audit/alarms", nil, &l)
}

// TakeFork has the node verify a proof that a node has signed two logs, and tell the
// network.
func (w *Way) TakeFork(ctx context.Context, fork []byte) (l api.Watched, err error) {
	return l, w.call(ctx, "POST", "/v1/audit/forks", api.AccuseRequest{Proof: fork}, &l)
}

// Policy returns what the node goes by.
func (w *Way) Policy(ctx context.Context) (p api.Policy, err error) {
	return p, w.call(ctx, "GET", "/v1/policy", nil, &p)
}

// ReloadPolicy has the node read its policy again. The error is a Problem that
// says where it is wrong; the old one is in force then.
func (w *Way) ReloadPolicy(ctx context.Context) (p api.Policy, err error) {
	return p, w.call(ctx, "POST", "/v1/policy/reload", nil, &p)
}

// Publish has the network keep a slice's record.
func (w *Way) Publish(ctx context.Context, record []byte) error {
	return w.call(ctx, "POST", "/v1/slices", api.SliceRecord{Record: record}, new(api.SliceRecord))
}

// Record looks a slice's record up; api.ErrNoRecord if none is known.
func (w *Way) Record(ctx context.Context, owner lease.Principal, label string) ([]byte, error) {
	var r api.SliceRecord
	err := w.call(ctx, "GET", "/v1/slices/"+owner.String()+"?label="+url.QueryEscape(label), nil, &r)
	return r.Record, err
}

func (w *Way) call(ctx context.Context, method, path string, in, out any) error {
	return w.noDaemon(call(ctx, w.http, method, path, in, out))
}

// noDaemon names the error of a socket on which nobody listens.
func (w *Way) noDaemon(err error) error {
	if netErr := new(net.OpError); errors.As(err, &netErr) && netErr.Op == "dial" {
		return fmt.Errorf("%w at %s: %w", ErrNoDaemon, w.socket, netErr.Err)
	}
	return err
}

// ErrNoDaemon says that nobody listens on the socket.
var ErrNoDaemon = errors.New("no croft daemon")

// Problem is what a node found wrong with a call.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

// Unwrap lets errors.Is match what a status stands for.
func (p *Problem) Unwrap() error {
	switch p.Status {
	case http.StatusBadRequest:
		return api.ErrBadRequest
	case http.StatusBadGateway:
		return api.ErrUnreachable
	case http.StatusGatewayTimeout:
		return context.DeadlineExceeded
	case http.StatusGone:
		return api.ErrNoRecord
	case http.StatusForbidden:
		return api.ErrNotGranted
	case http.StatusNotFound:
		return api.ErrNoSliver
	case http.StatusInsufficientStorage:
		return api.ErrQuota
	case http.StatusNotImplemented:
		return api.ErrVisitor
	case http.StatusTooManyRequests:
		return api.ErrBusy
	case http.StatusServiceUnavailable:
		return api.ErrAgain
	}
	return nil
}

const (
	maxAnswer   = 16 << 20 // bytes of one JSON answer: 10,000 offers of 1 KiB and their JSON
	maxProblem  = 64 << 10 // bytes of a problem document
	callTimeout = 30 * time.Second
)

// call sends in as JSON and reads the answer into out.
func call(ctx context.Context, c *http.Client, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := do(c, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out)
}

// do returns a good answer, or the problem in a bad one.
func do(c *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := c.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL is ours and says nothing
		}
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readProblem(resp)
}

func readProblem(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return fmt.Errorf("reading what is wrong (%s): %w", resp.Status, err)
	}
	return parseProblem(resp.StatusCode, b)
}

// parseProblem reads a problem document; what is none is its own sentence.
func parseProblem(status int, b []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(b, p) != nil || p.Detail == "" {
		p = &Problem{Detail: fmt.Sprintf("%s: %.200q", http.StatusText(status), bytes.TrimSpace(b))}
	}
	if p.Status == 0 {
		p.Status = status
	}
	return p
}

// idText is a statement's id in a path.
func idText(id lease.ID) string { return url.PathEscape(id.String()) }
