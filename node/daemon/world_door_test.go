// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"croft/ebpf"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/door"
	"croft/node/role"
)

// doorModel has the doors of all slivers, also after the daemon that made them.
type doorModel struct {
	mu    sync.Mutex
	doors map[string]*doorPlug
	made  int
	users door.Users // of the last
}

func newDoorModel() *doorModel { return &doorModel{doors: map[string]*doorPlug{}} }

func (m *doorModel) Open(sliver string, of door.Users) (net.Listener, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made++
	m.users = of
	m.doors[sliver] = &doorPlug{dials: make(chan net.Conn), over: make(chan struct{})}
	return m.doors[sliver], "/run/doors/" + sliver, nil
}

func (m *doorModel) Remove(sliver string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.doors, sliver)
	return nil
}

// doorPlug is a listener to which tests dial.
type doorPlug struct {
	dials chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func (p *doorPlug) Accept() (net.Conn, error) {
	select {
	case c := <-p.dials:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}
func (p *doorPlug) Close() error { p.once.Do(func() { close(p.over) }); return nil }
func (*doorPlug) Addr() net.Addr { return &net.UnixAddr{Name: "door", Net: "unix"} }

// dial is the sliver's end.
func (m *doorModel) dial(t *testing.T, sliver string) net.Conn {
	t.Helper()
	m.mu.Lock()
	p := m.doors[sliver]
	m.mu.Unlock()
	if p == nil {
		t.Fatalf("sliver %s has no door", sliver)
	}
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close() })
	select {
	case p.dials <- there:
		return here
	case <-p.over:
		t.Fatalf("the door of %s is closed", sliver)
	}
	return nil
}

// service serves a role as a test says: what it returns are the lines of an answer,
// %d being the id; nil is silence.
type service struct {
	conn net.Conn
	over chan struct{}
	mu   sync.Mutex
	seen []string
}

func serve(t *testing.T, c net.Conn, answer func(q role.Question) []string) *service {
	t.Helper()
	return serveAs(t, c, "discovery/1", answer)
}

// serveAs is serve for any role.
func serveAs(t *testing.T, c net.Conn, as string, answer func(q role.Question) []string) *service {
	t.Helper()
	s := &service{conn: c, over: make(chan struct{})}
	r := bufio.NewReader(c)
	if _, err := fmt.Fprintf(c, `{"serve":%q}`+"\n", as); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"ok":`) {
		t.Fatalf("greeted by %q, %v", line, err)
	}
	go func() {
		defer close(s.over)
		for {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			s.mu.Lock()
			s.seen = append(s.seen, string(line))
			s.mu.Unlock()
			var q role.Question
			if json.Unmarshal(line, &q) != nil || q.Cancel {
				continue
			}
			for _, l := range answer(q) {
				if l == "hang up" {
					c.Close()
					return
				}
				if _, err := fmt.Fprintln(c, strings.ReplaceAll(l, "%d", fmt.Sprint(q.ID))); err != nil {
					return
				}
			}
		}
	}()
	return s
}

// offerOf is a node's offer, as it travels.
func offerOf(t testing.TB, now time.Time, name, country string, cpu uint64) offer.Opened {
	t.Helper()
	o := &offer.Offer{Node: leasetest.Who(name), Name: name, Sequence: 1, Made: now.Unix(), Until: now.Unix() + 600, Total: lease.RSet{lease.CPU: cpu},
		Attributes: offer.Attributes{Country: country}, Free: []offer.Free{{Pool: lease.PoolCommons, RSet: lease.RSet{lease.CPU: cpu}}}}
	sealed, err := offer.Seal(o, leasetest.Key(name))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// known is a built-in discovery that knows some offers.
type known struct {
	offers []offer.Opened
	fails  error
	asked  int
}

func (k *known) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	return k.Seek(ctx, req, func(offer.Found) error { return nil })
}

func (k *known) Seek(_ context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	k.asked++
	if k.fails != nil {
		return offer.Result{}, k.fails
	}
	q, err := req.Parse()
	if err != nil {
		return offer.Result{}, err
	}
	var list []offer.Found
	for _, o := range k.offers {
		list = append(list, offer.NewFound(o, offer.View, time.Now()))
	}
	res := offer.Answer(q, list, offer.Options{})
	for _, f := range res.Offers {
		if err := tell(f); err != nil {
			return res, err
		}
	}
	return res, nil
}

var errFinder = errors.New("the index burns")

type noCharge struct{}

func (noCharge) Charge(context.Context, string, ebpf.Direction, ebpf.Channel, uint64) error {
	return nil
}
