// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/keep"
	"croft/sandbox"
)

// fake is a node on which alice has the sliver "mine".
type fake struct {
	blob []byte
	wait chan struct{} // an exec session runs until this is closed or its context ends
	seen []byte        // what an exec session read
}

func (f *fake) node() Node {
	return Node{Claims: f, Slivers: f, Blobs: f, Audit: f, Exports: f, Slices: f, Discovery: f, Owner: f, Clocks: f, Conflicts: f, OptOuts: f, Topics: f, Invites: f, Overlay: f, Roles: f, Updates: f, Charges: f, Obsolescence: f}
}

func (*fake) AskRole(context.Context, string, string, json.RawMessage) (RoleAnswer, error) {
	return RoleAnswer{Answer: json.RawMessage("{}")}, nil
}
func (*fake) Updates(context.Context) (Update, error)            { return Update{Running: "0.1.0"}, nil }
func (*fake) Update(context.Context, UpdateWish) (Update, error) { return Update{}, ErrUpdate }
func (*fake) Obsolescence(context.Context) ([]Dependence, error) { return []Dependence{}, nil }
func (*fake) Roles(context.Context) ([]Role, error)              { return []Role{{Role: "discovery"}}, nil }
func (*fake) Decide(_ context.Context, role string, wish RoleWish) (Role, error) {
	if role != "discovery" {
		return Role{}, ErrNoRole
	}
	return Role{Role: role, Tenants: []RoleTenant{{Tenant: wish.Tenant, Place: wish.Do}}}, nil
}
func (*fake) Self(context.Context) (Self, error)              { return Self{Sliver: "abcd"}, nil }
func (*fake) OwnSlivers(context.Context) ([]OwnSliver, error) { return []OwnSliver{}, nil }
func (*fake) Lease(context.Context) (OwnLease, error)         { return OwnLease{}, ErrNotRunning }
func (f *fake) Offers(_ context.Context, since int64, tell func(offer.Found) error) error {
	return tell(offer.Found{Offer: offer.Offer{Made: since}})
}

func (*fake) Wish(_ context.Context, by Caller, chain [][]byte) (Answer, error) {
	return Answer{Statements: chain, Refusal: &Refusal{Sort: "local", Code: "local:policy", Text: by.Principal.String()}}, nil
}
func (*fake) Commit(context.Context, Caller, lease.ID) (Answer, error) {
	return Answer{}, ErrAgain
}
func (*fake) Activate(_ context.Context, _ Caller, _ lease.ID, program []byte) (Answer, error) {
	return Answer{Statements: [][]byte{program}}, nil
}
func (*fake) End(context.Context, Caller, []byte) (Answer, error) {
	return Answer{}, ErrStopping
}

func (*fake) Tickets(context.Context, Caller) ([]HeldTicket, error) {
	return []HeldTicket{}, nil
}
func (*fake) Policy(context.Context) (Policy, error) { return Policy{}, nil }
func (*fake) Reload(context.Context) (Policy, error) { return Policy{}, ErrPolicy }
func (*fake) Vacancies(_ context.Context, _ Caller, req VacancyRequest) (Vacancies, error) {
	return Vacancies{Windows: []lease.Term{{From: req.From, Until: req.From + req.Length}}, Seen: req.Until}, nil
}

func (*fake) Net(context.Context) (Net, error) {
	return Net{Peers: []Peer{{ID: "12D3KooW", Direct: true}}, Protocols: []ProtocolTraffic{}}, nil
}
func (*fake) View(context.Context) (View, error) { return View{}, ErrVisitor }

func (*fake) Calendar(_ context.Context, t lease.Term) (Calendar, error) {
	return Calendar{Now: 1, Term: t, Pools: []PoolCalendar{}}, nil
}

func own(by Caller, sliver string) error {
	if by.Principal != leasetest.Who("alice") || sliver != "mine" {
		return ErrNoSliver
	}
	return nil
}

func (*fake) Slivers(context.Context, Caller) ([]Sliver, error) { return []Sliver{}, nil }

func (*fake) Logs(_ context.Context, by Caller, sliver string, o sandbox.LogOptions, w io.Writer) error {
	if err := own(by, sliver); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "tail=%d follow=%t\n", o.Tail, o.Follow)
	return err
}

func (f *fake) Exec(ctx context.Context, by Caller, sliver string, cmd sandbox.Exec, stdio sandbox.IO) (int, error) {
	if err := own(by, sliver); err != nil {
		return 0, err
	}
	if f.wait != nil {
		select {
		case <-f.wait:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	b, err := io.ReadAll(stdio.In)
	f.seen = b
	if err != nil {
		return 0, err
	}
	if _, err := stdio.Out.Write(bytes.Repeat(b, 3)); err != nil {
		return 0, err
	}
	return 42, nil
}

func (*fake) Traffic(_ context.Context, by Caller, sliver string) (Traffic, error) {
	return Traffic{}, own(by, sliver)
}

func (*fake) Figures(context.Context, Caller, string) ([]Figures, error) { return []Figures{}, nil }
func (*fake) AllFigures(context.Context) ([]Figures, error)              { return []Figures{}, nil }

func (f *fake) Fetch(_ context.Context, _ Caller, d lease.Digest, req FetchRequest) (Blob, error) {
	return Blob{Digest: d, Size: req.Size, Fetch: &Fetch{}}, nil
}

func (f *fake) Blob(_ context.Context, _ Caller, d lease.Digest, size int64, _ bool) (Blob, error) {
	if size > 1<<20 {
		return Blob{}, ErrQuota
	}
	return Blob{Digest: d, Size: size, Have: int64(len(f.blob)), Done: int64(len(f.blob)) == size}, nil
}

func (f *fake) Append(_ context.Context, _ Caller, d lease.Digest, offset, size int64, r io.Reader) (Blob, error) {
	if offset != int64(len(f.blob)) {
		return Blob{}, ErrOffset
	}
	b, err := io.ReadAll(r)
	f.blob = append(f.blob, b...)
	state := Blob{Digest: d, Size: size, Have: int64(len(f.blob))}
	if err != nil {
		return state, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if state.Done = state.Have == size; state.Done && lease.Digest(sha256.Sum256(f.blob)) != d {
		f.blob = nil
		return state, fmt.Errorf("%w: another digest", ErrBadRequest)
	}
	return state, nil
}

func (*fake) Flows(context.Context, Caller, string) ([]Flow, error) { return []Flow{}, nil }
func (*fake) Who(context.Context, Caller, WhoRequest) (WhoAnswer, error) {
	return WhoAnswer{Verdict: "none"}, nil
}
func (*fake) Log(_ context.Context, size uint64) (Log, error) {
	if size > 0 {
		return Log{}, ErrNoHead
	}
	return Log{Head: []byte{1}}, nil
}
func (*fake) Witnessed(context.Context, lease.Principal) (Witnessed, error) { return Witnessed{}, nil }
func (*fake) WhoAll(context.Context, WhoRequest) (WhoAnswer, error) {
	return WhoAnswer{Verdict: "exact"}, nil
}
func (*fake) Messages(context.Context, Caller, string) ([]Message, error) { return []Message{}, nil }
func (*fake) AllMessages(context.Context) ([]Message, error)              { return []Message{}, nil }
func (*fake) Alarms(context.Context) ([]Alarm, error)                     { return []Alarm{}, nil }
func (*fake) TakeFork(context.Context, []byte) (Watched, error)           { return Watched{}, nil }
func (*fake) Watched(context.Context) ([]Watched, error)                  { return []Watched{}, nil }
func (*fake) Tell(_ context.Context, by Caller, record []byte) (SliceRecord, error) {
	return SliceRecord{Record: append(by.Authority, record...)}, nil
}
func (*fake) Publish(_ context.Context, record []byte) (SliceRecord, error) {
	return SliceRecord{Record: record}, nil
}
func (*fake) Record(_ context.Context, owner lease.Principal, label string) (SliceRecord, error) {
	if owner != leasetest.Who("alice") {
		return SliceRecord{}, ErrNoRecord
	}
	return SliceRecord{Record: []byte(label)}, nil
}
func (*fake) Find(context.Context, offer.FindRequest) (offer.Result, error) {
	return offer.Result{}, nil
}
func (*fake) Seek(_ context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	for n := range req.Limit {
		if err := tell(offer.Found{Offer: offer.Offer{Name: fmt.Sprintf("%s/n%d", req.Query, n)}, Source: offer.DHT}); err != nil {
			return offer.Result{}, err
		}
	}
	if req.Query == "broken" {
		return offer.Result{}, ErrUnreachable
	}
	return offer.Result{Known: 7, Matched: req.Limit}, nil
}
func (*fake) Status(context.Context) (Status, error)                    { return Status{Name: "n"}, nil }
func (*fake) Doctor(context.Context) ([]Check, error)                   { return []Check{}, nil }
func (*fake) Issue(context.Context, IssueRequest) (Answer, error)       { return Answer{}, ErrVisitor }
func (*fake) Books(context.Context) ([]Claim, error)                    { return []Claim{}, nil }
func (*fake) Invite(context.Context, time.Duration) (Invitation, error) { return Invitation{}, nil }
func (*fake) Revoke(context.Context, lease.ID, string) (Answer, error) {
	return Answer{}, ErrVisitor
}
func (*fake) Clock(context.Context) (Clock, error)       { return Clock{Step: 7}, nil }
func (*fake) AcceptClock(context.Context) (Clock, error) { return Clock{}, nil }
func (*fake) Pipe(_ context.Context, to lease.Principal) (net.Conn, error) {
	if to != leasetest.Who("node") {
		return nil, ErrUnreachable
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		_, _ = io.Copy(far, far) // an echo, until the other end goes
	}()
	return near, nil
}

// serve serves a handler to callers who proved to be name.
func serve(t *testing.T, h http.Handler, name string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), leasetest.Who(name))))
	}))
	t.Cleanup(s.Close)
	return s
}

func (*fake) Say(_ context.Context, message []byte) (Said, error) {
	if len(message) == 0 {
		return Said{}, ErrNotGranted
	}
	return Said{ID: sha256.Sum256(message), Neighbours: 2}, nil
}
func (*fake) Hear(_ context.Context, name topic.Name, ready func()) iter.Seq2[Heard, error] {
	return func(yield func(Heard, error) bool) {
		if name.Topic == "refused" {
			yield(Heard{}, ErrVisitor)
			return
		}
		ready()
		_ = yield(Heard{Author: name.Owner, Made: 1, Data: []byte(name.Slice)}, nil) && yield(Heard{}, ErrStopping)
	}
}

func (*fake) Hand(_ context.Context, by Caller, c keep.Charge) (Kept, error) {
	return Kept{Slice: c.Slice, Owner: by.Principal, Want: c.Want}, nil
}
func (*fake) Kept(_ context.Context, by Caller) ([]Kept, error) {
	return []Kept{{Slice: "ron", Owner: by.Principal}}, nil
}
func (*fake) Drop(context.Context, Caller, string) (Kept, error) { return Kept{}, ErrNoCharge }
func (*fake) Admit(_ context.Context, owner lease.Principal) (Admitted, error) {
	return Admitted{Node: owner, Seconds: 60}, nil
}
func (*fake) AllKept(context.Context) ([]Kept, error) { return []Kept{}, nil }
func (*fake) DropOf(context.Context, lease.Principal, string) (Kept, error) {
	return Kept{}, ErrNoCharge
}
