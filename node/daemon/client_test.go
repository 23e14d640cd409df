// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
)

// person asks a daemon, and remembers every answer: the same request must get
// the same one for ever.
type person struct {
	t     *testing.T
	name  string
	shows []byte            // an authority
	owner lease.Principal   // whose slices it asks for; zero: its own
	given map[string][]byte // request → signed answer
}

func newPerson(t *testing.T, name string) *person {
	return &person{t: t, name: name, given: map[string][]byte{}}
}

func (p *person) key() lease.Signer    { return leasetest.Key(p.name) }
func (p *person) who() lease.Principal { return leasetest.Who(p.name) }
func (p *person) caller() api.Caller {
	return api.Caller{Principal: p.who(), Authority: p.shows}
}

// wish is a request for a lease, in bytes that can be sent again.
func (p *person) wish(request string, at time.Time, length time.Duration, rset string, replaces lease.ID) []byte {
	p.t.Helper()
	want, err := lease.ParseRSet(rset)
	if err != nil {
		p.t.Fatal(err)
	}
	ask := &lease.Ask{K: lease.KindAsk, Issuer: p.who(), Node: leasetest.Who("node"), RSet: want, From: at.Unix(),
		Until: at.Add(length).Unix(), Slice: "ron", Pool: lease.PoolCommons, Replaces: replaces, Owner: p.owner}
	copy(ask.Request[:], request)
	signed, err := lease.Seal(ask, p.key())
	if err != nil {
		p.t.Fatal(err)
	}
	return signed.Bytes()
}

func (p *person) close(claim lease.ID, at time.Time) []byte {
	p.t.Helper()
	signed, err := lease.Seal(&lease.Close{K: lease.KindClose, Issuer: p.who(), Node: leasetest.Who("node"), Claim: claim, At: at.Unix()}, p.key())
	if err != nil {
		p.t.Fatal(err)
	}
	return signed.Bytes()
}

// keep checks an answer against the one that was given before.
func (p *person) keep(request string, a api.Answer, err error) (lease.ID, error) {
	p.t.Helper()
	if err != nil {
		return lease.ID{}, err
	}
	if a.Refusal != nil {
		return lease.ID{}, a.Refusal
	}
	got := a.Statements[0]
	if before, ok := p.given[request]; ok && !bytes.Equal(before, got) {
		p.t.Errorf("%s was answered twice with different bytes", request)
	}
	p.given[request] = got
	o, err := lease.Open(got)
	if err != nil {
		p.t.Fatal(err)
	}
	return o.ID, nil
}

func (p *person) hold(l *life, wish []byte) (lease.ID, error) {
	p.t.Helper()
	a, err := l.d.Node().Claims.Wish(p.t.Context(), p.caller(), [][]byte{wish})
	return p.keep("wish "+string(wish), a, err)
}

func (p *person) commit(l *life, hold lease.ID) (lease.ID, error) {
	p.t.Helper()
	a, err := l.d.Node().Claims.Commit(p.t.Context(), p.caller(), hold)
	return p.keep("commit "+hold.String(), a, err)
}

func (p *person) activate(l *life, id lease.ID) error {
	p.t.Helper()
	a, err := l.d.Node().Claims.Activate(p.t.Context(), p.caller(), id, program(p.t))
	_, err = p.keep("activate "+id.String(), a, err)
	return err
}

func (p *person) end(l *life, close []byte) error {
	p.t.Helper()
	a, err := l.d.Node().Claims.End(p.t.Context(), p.caller(), close)
	_, err = p.keep("end "+string(close), a, err)
	return err
}

// run goes from a wish to an active lease.
func (p *person) run(l *life, request string, length time.Duration) lease.ID {
	p.t.Helper()
	hold, err := p.hold(l, p.wish(request, l.Wall(), length, "cpu=100,memory=64MiB,pids=8,egress.rate=1mbit,egress.packets=100", lease.ID{}))
	if err != nil {
		p.t.Fatal(err)
	}
	id, err := p.commit(l, hold)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.activate(l, id); err != nil {
		p.t.Fatal(err)
	}
	return id
}

// sees returns the person's slivers on the node.
func (p *person) sees(l *life) []api.Sliver {
	p.t.Helper()
	list, err := l.d.Node().Slivers.Slivers(p.t.Context(), p.caller())
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}
