// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"croft/lease"
	"croft/node/agent"
)

// WishRequest asks for a ticket for a principal: for an rset in a term, on any
// node but those named. Whoever may open the socket is one of the site's people.
type WishRequest struct {
	By   lease.Principal   `json:"by"`
	RSet lease.RSet        `json:"rset"`
	From int64             `json:"from"`
	To   int64             `json:"until"`
	Not  []lease.Principal `json:"not,omitempty"`
}

// WishAnswer is a chain that ends in a ticket, or why there is none.
type WishAnswer struct {
	Chain  [][]byte `json:"chain,omitempty"`
	Refuse string   `json:"refuse,omitempty"`
}

// ComplaintRequest says that a node refused a ticket of the agent's.
type ComplaintRequest struct {
	By   lease.Principal `json:"by"`
	Node lease.Principal `json:"node"`
	Code string          `json:"code"`
}

// Report is the account, and what is held and promised now.
type Report struct {
	agent.Account
	Principal lease.Principal `json:"principal"`
	Held      []Holding       `json:"held"`
}

// Holding is a ticket in the purse and what was promised under it.
type Holding struct {
	Ticket   lease.ID        `json:"ticket"`
	Node     lease.Principal `json:"node"`
	From     lease.Principal `json:"from"` // who gave it
	RSet     lease.RSet      `json:"rset"`
	Degree   uint16          `json:"degree"`
	Until    int64           `json:"until"`
	Promised lease.RSet      `json:"promised"` // now, to all
}

const maxBody = 64 << 10

func (h *Host) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/wishes", func(w http.ResponseWriter, r *http.Request) {
		var in WishRequest
		if read(w, r, &in) {
			write(w, h.wish(r.Context(), in))
		}
	})
	mux.HandleFunc("POST /v1/complaints", func(w http.ResponseWriter, r *http.Request) {
		var in ComplaintRequest
		if read(w, r, &in) {
			h.tell(agent.Complaint{By: in.By, Node: in.Node, Code: in.Code})
			write(w, struct{}{})
		}
	})
	mux.HandleFunc("GET /v1/account", func(w http.ResponseWriter, r *http.Request) {
		got := make(chan Report, 1)
		h.do(func() { got <- h.report() })
		select {
		case report := <-got:
			write(w, report)
		case <-r.Context().Done():
		}
	})
	return mux
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who does not read it has left
}

func (h *Host) wish(ctx context.Context, in WishRequest) WishAnswer {
	got := make(chan agent.Answer, 1)
	h.do(func() {
		h.refs++
		h.answer[h.refs] = got
		h.step(agent.Wish{Ref: h.refs, By: in.By, RSet: in.RSet, Term: lease.Term{From: in.From, Until: in.To}, Not: in.Not})
	})
	select {
	case a := <-got:
		if a.Err != nil {
			return WishAnswer{Refuse: a.Err.Error()}
		}
		return WishAnswer{Chain: a.Chain}
	case <-ctx.Done():
		return WishAnswer{Refuse: ctx.Err().Error()}
	}
}

func (h *Host) report() Report {
	r := Report{Account: h.agent.Account(), Principal: h.cfg.Key.Principal(), Held: []Holding{}}
	now := time.Now().Unix()
	for _, held := range h.safe.Held() {
		if held.Until <= now {
			continue
		}
		line := Holding{Ticket: held.ID, Node: held.Node, From: held.Issuer, RSet: held.RSet, Degree: held.Degree, Until: held.Until}
		for _, c := range held.Issued {
			if c.Ticket != nil && c.Term.Covers(now) {
				line.Promised = line.Promised.Plus(c.RSet)
			}
		}
		r.Held = append(r.Held, line)
	}
	return r
}

// ErrNoAgent says that nobody listens on the socket.
var ErrNoAgent = errors.New("no croft agent")

// Client talks to the agent of a directory.
type Client struct{ http *http.Client }

// NewClient returns a client. Nothing is opened yet.
func NewClient(dir string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", Socket(dir))
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: requestLimit}}
}

// Wish asks for a ticket.
func (c *Client) Wish(ctx context.Context, in WishRequest) (a WishAnswer, err error) {
	return a, c.call(ctx, "POST", "/v1/wishes", in, &a)
}

// Complain says that a node refused.
func (c *Client) Complain(ctx context.Context, in ComplaintRequest) error {
	return c.call(ctx, "POST", "/v1/complaints", in, &struct{}{})
}

// Account returns the account.
func (c *Client) Account(ctx context.Context) (r Report, err error) {
	return r, c.call(ctx, "GET", "/v1/account", nil, &r)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if netErr := new(net.OpError); errors.As(err, &netErr) && netErr.Op == "dial" {
		return fmt.Errorf("%w: %w", ErrNoAgent, netErr.Err)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		return fmt.Errorf("the agent says %s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxAccount)).Decode(out)
}
