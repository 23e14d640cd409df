// SPDX-License-Identifier: Apache-2.0

// Cast is a multicast tree, as Overcast and ESM were on PlanetLab: one sliver of the slice
// sends numbered messages, and the others pass them on, each to a few. Whom a sliver hangs
// on it picks by round trips; when that one dies it takes another, and asks for what it
// missed. Where they are and what they have slivers tell on a topic. They trust each other:
// what they pass on is not signed.
//
//	croft run -n 5 --name cast --port 7100/tcp ./cast -- -source uni-a/n1
//	croft topic allow cast/tree --slivers
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

var degree = 4 // how many a sliver carries

const (
	kept    = 256 // messages, for who was away
	most    = 512 // slivers that are told apart
	stale   = 12  // beats without a word, and nobody hangs on a sliver
	dead    = 4   // beats without a line, and a sliver lets go
	unknown = 500 // ms: how far a node is that was not measured
	better  = 0.7 // of its way, and a sliver hangs itself elsewhere
	maxLine = 1 << 20
)

// sliver is what each publishes of itself.
type sliver struct {
	ID   string   `json:"id"`
	Node string   `json:"node"` // a principal
	Name string   `json:"name"` // of the node
	Addr string   `json:"addr"` // its public port
	Path []string `json:"path"` // ids from the source to itself; none: it hangs on nobody
	Far  float64  `json:"far_ms"`
	Room int      `json:"room"` // for so many more
	Has  uint64   `json:"has"`  // the newest message

	heard, shunned time.Time
}

// line is what one passes on to another: its way to the source, at each beat, and what
// there is.
type line struct {
	Path     []string  `json:"path"`
	Far      float64   `json:"far_ms"`
	Messages []message `json:"messages,omitempty"`
}

type message struct {
	N    uint64 `json:"n"` // from 1
	Data []byte `json:"data"`
}

type tree struct {
	node   *shim.Node
	beat   time.Duration
	source bool

	mu      sync.Mutex
	self    sliver
	parent  string // the name of its node
	others  map[string]*sliver
	carried map[string]bool
	rtts    map[string]float64 // of nodes, ms
	stream  []message
	missed  uint64
	changed chan struct{} // closed when there is something new
}

func main() {
	source := flag.String("source", "", "name of the node whose sliver is the source")
	listen := flag.String("listen", ":7100", "where others hang themselves on")
	every := flag.Duration("every", 200*time.Millisecond, "between two messages of the source")
	flag.IntVar(&degree, "degree", degree, "how many a sliver carries, at most")
	beat := flag.Duration("beat", time.Second, "between two signs of life")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(0)
	if err := run(ctx, shim.Open(), *source, *listen, *every, *beat); err != nil {
		log.Fatal("cast: ", err)
	}
}

func run(ctx context.Context, node *shim.Node, source, listen string, every, beat time.Duration) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	t := newTree(node, beat)
	return t.run(ctx, l, source, every)
}

func newTree(node *shim.Node, beat time.Duration) *tree {
	return &tree{node: node, beat: beat, others: map[string]*sliver{}, carried: map[string]bool{}, rtts: map[string]float64{}, changed: make(chan struct{})}
}

func (t *tree) run(ctx context.Context, l net.Listener, source string, every time.Duration) error {
	owner, err := t.join(ctx, source, l.Addr().String())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	go t.meet(ctx, owner)
	go t.tell(ctx)
	if t.source {
		go t.speak(ctx, every)
	} else {
		go t.hang(ctx)
	}
	server := &http.Server{Handler: t, ReadHeaderTimeout: dead * t.beat, BaseContext: func(net.Listener) context.Context { return ctx }}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// join learns who this sliver is. The source is the first of the slice on its node.
func (t *tree) join(ctx context.Context, source, listens string) (owner string, err error) {
	self, err := t.node.Self(ctx)
	if err != nil {
		return "", err
	}
	list, err := t.node.Slivers(ctx)
	t.self = sliver{ID: fmt.Sprintf("%s@%.8s", self.Sliver, self.Node), Node: self.Node, Name: self.Name, Addr: listens}
	t.source = self.Name == source
	for _, s := range list {
		if s.Self && len(s.Ports) > 0 {
			t.self.Addr = net.JoinHostPort(s.Public, strconv.Itoa(int(s.Ports[0].Number)))
		}
		t.source = t.source && s.Sliver >= self.Sliver
	}
	if t.source {
		t.self.Path = []string{t.self.ID}
	}
	return self.Owner, err
}

// meet hears of the others. A node speaks of its own slivers, the owner of any.
func (t *tree) meet(ctx context.Context, owner string) {
	for m, err := range t.node.Hear(ctx, "tree") {
		if err != nil {
			log.Print("hearing nothing: ", err)
			continue
		}
		one := sliver{heard: time.Now()}
		if json.Unmarshal(m.Data, &one) != nil || one.Node != m.Author && m.Author != owner || one.ID == t.self.ID {
			continue
		}
		t.mu.Lock()
		was := t.others[one.ID]
		if was != nil {
			one.shunned = was.shunned
		}
		if was != nil || len(t.others) < most {
			t.others[one.ID] = &one
		}
		t.mu.Unlock()
	}
}

// tell says each third beat, and where the way to the source has changed, where this
// sliver is and what it has.
func (t *tree) tell(ctx context.Context) {
	var told []string
	for n := 0; ctx.Err() == nil; n++ {
		if paths, err := t.node.Paths(ctx); n%10 == 0 && err == nil { // else as they were
			t.mu.Lock()
			for _, p := range paths {
				t.rtts[p.Node] = p.RTT
			}
			t.mu.Unlock()
		}
		t.mu.Lock()
		t.self.Room = degree - len(t.carried)
		self, is := t.self, t.is()
		t.mu.Unlock()
		if n%3 == 0 || !slices.Equal(told, self.Path) {
			log.Print(self.Name, " ", is)
			told = self.Path
			b, _ := json.Marshal(self) // of strings and numbers
			if _, err := t.node.Publish(ctx, "tree", b); err != nil && ctx.Err() == nil {
				log.Print("not told: ", err)
			}
		}
		rest(ctx, nil, t.beat)
	}
}

// is says how it stands, and forgets who is not heard of. It is called with mu held.
func (t *tree) is() string {
	have, last := 0, t.self.Has
	for id, m := range t.others {
		if time.Since(m.heard) > stale*t.beat {
			delete(t.others, id)
		} else if m.Has > 0 && m.Path != nil {
			have, last = have+1, min(last, m.Has)
		}
	}
	if t.source {
		return fmt.Sprintf("is the source: said %d, %d of %d have %d or more", t.self.Has, have, len(t.others), last)
	}
	return fmt.Sprintf("has %d, missed %d: %d hops, %.1f ms, by %s", t.self.Has, t.missed, max(len(t.self.Path)-1, 0), t.self.Far, t.parent)
}

func rest(ctx context.Context, news <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-news:
	case <-t.C:
	case <-ctx.Done():
	}
}

func (t *tree) speak(ctx context.Context, every time.Duration) {
	for n := uint64(1); ctx.Err() == nil; n++ {
		t.take(line{t.self.Path, 0, []message{{n, fmt.Appendf(nil, "message %0500d", n)}}}, "")
		rest(ctx, nil, every)
	}
}

// take keeps what came for those whom this sliver carries.
func (t *tree) take(l line, parent string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := !slices.Equal(l.Path, t.self.Path)
	t.self.Path, t.self.Far, t.parent = l.Path, l.Far, parent
	for _, m := range l.Messages {
		if m.N <= t.self.Has {
			continue
		}
		if t.self.Has > 0 {
			t.missed += m.N - t.self.Has - 1
		}
		t.self.Has, changed = m.N, true
		t.stream = append(t.stream[max(0, len(t.stream)-kept+1):], m)
	}
	if changed {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// hang keeps this sliver hanging on somebody.
func (t *tree) hang(ctx context.Context) {
	for ctx.Err() == nil {
		t.mu.Lock()
		on, _ := t.best()
		t.mu.Unlock()
		if on == nil {
			rest(ctx, nil, t.beat/4)
			continue
		}
		err := t.follow(ctx, *on)
		log.Printf("%s lets go of %s: %v", t.self.Name, on.Name, err)
		t.take(line{}, "nobody")
		t.mu.Lock()
		if m := t.others[on.ID]; m != nil {
			m.shunned = time.Now()
		}
		t.mu.Unlock()
	}
}

// best is by whom the source is nearest, of those that have room, are on other nodes (no
// sliver reaches its own node's address) and do not hang on this one. It is called with mu
// held.
func (t *tree) best() (best *sliver, far float64) {
	far = math.Inf(1)
	for _, m := range t.others {
		if m.Path != nil && m.Room > 0 && m.Node != t.self.Node && !slices.Contains(m.Path, t.self.ID) && time.Since(m.shunned) > 2*t.beat {
			if f := m.Far + t.rtt(m.Node); f < far {
				best, far = m, f
			}
		}
	}
	return best, far
}

func (t *tree) rtt(node string) float64 {
	if rtt := t.rtts[node]; rtt > 0 {
		return rtt
	}
	return unknown
}

// follow hangs this sliver on another until one of them lets go.
func (t *tree) follow(ctx context.Context, on sliver) error {
	ctx, cancel := context.WithCancelCause(ctx)
	idle := time.AfterFunc(dead*t.beat, func() { cancel(errors.New("it is silent")) })
	defer idle.Stop()
	defer cancel(nil)
	ask := url.Values{"id": {t.self.ID}, "after": {strconv.FormatUint(t.self.Has, 10)}}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+on.Addr+"/?"+ask.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for began, lost := time.Now(), time.Now(); lines.Scan(); idle.Reset(dead * t.beat) {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return err
		}
		t.mu.Lock()
		l.Far += t.rtt(on.Node)
		_, least := t.best()
		t.mu.Unlock()
		switch {
		case slices.Contains(l.Path, t.self.ID):
			return errors.New("it hangs on this one")
		case l.Path != nil:
			lost, l.Path = time.Now(), append(l.Path, t.self.ID)
		case time.Since(lost) > dead*t.beat: // before, it may find somebody, with us on it
			return errors.New("it hangs on nobody")
		}
		if t.take(l, on.Name); time.Since(began) > 10*t.beat && least < better*l.Far {
			return errors.New("another is nearer")
		}
	}
	return errors.Join(context.Cause(ctx), lines.Err(), errors.New("it hung up"))
}

// ServeHTTP passes the stream on to who hangs itself on this sliver, while there is room.
func (t *tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.FormValue("id")
	after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
	if err != nil || !t.admit(id, r.RemoteAddr) {
		http.Error(w, "no room for you", http.StatusServiceUnavailable)
		return
	}
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.carried, id)
	}()
	for out := http.NewResponseController(w); r.Context().Err() == nil; {
		t.mu.Lock()
		from := slices.IndexFunc(t.stream, func(m message) bool { return m.N > after })
		l, changed := line{Path: t.self.Path, Far: t.self.Far}, t.changed
		if from >= 0 {
			l.Messages = slices.Clone(t.stream[from:min(len(t.stream), from+64)])
			after = l.Messages[len(l.Messages)-1].N
		}
		t.mu.Unlock()
		_ = out.SetWriteDeadline(time.Now().Add(dead * t.beat))
		if json.NewEncoder(w).Encode(l) != nil || out.Flush() != nil {
			return
		}
		rest(r.Context(), changed, t.beat)
	}
}

// admit has room for who is not on the way to the source, and calls from where a sliver
// of the slice is.
func (t *tree) admit(id, from string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.others[id]
	if m == nil || t.carried[id] || len(t.carried) >= degree || t.self.Path == nil || slices.Contains(t.self.Path, id) {
		return false
	}
	at, err1 := netip.ParseAddrPort(from)
	known, err2 := netip.ParseAddrPort(m.Addr)
	if errors.Join(err1, err2) != nil || at.Addr().Unmap() != known.Addr().Unmap() {
		return false
	}
	t.carried[id] = true
	return true
}
