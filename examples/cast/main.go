// SPDX-License-Identifier: Apache-2.0

// Cast is a multicast tree, as Overcast and ESM were on PlanetLab: one sliver of the slice
// sends numbered messages, and the others pass them on, each to a few. Whom a sliver hangs
// on it picks by round trips; when that one dies it takes another, and asks for what it
// missed. Where they are and what they have slivers tell on a topic, on which their nodes
// sign. There the source tells the key by which it signs each message: whoever passes on
// can keep some to himself, and alter none.
//
//	croft run -n 5 --name cast --port 7100/tcp ./cast -- -source uni-a/n1
//	croft topic allow cast/tree --slivers
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"croft/shim"
)

func main() {
	source := flag.String("source", "", "node whose sliver is the source: its name, or its principal, which nobody else can claim")
	listen := flag.String("listen", ":7100", "where others hang themselves on")
	every := flag.Duration("every", 200*time.Millisecond, "between two messages of the source")
	flag.IntVar(&degree, "degree", degree, "how many a sliver carries, at most")
	beat := flag.Duration("beat", time.Second, "between two signs of life")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(0)
	if err := newTree(shim.Open(), *source, *beat).run(ctx, *listen, *every); err != nil {
		log.Fatal("cast: ", err)
	}
}

func (t *tree) run(ctx context.Context, listen string, every time.Duration) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	owner, err := t.join(ctx, l.Addr().String())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	go t.meet(ctx, owner)
	go t.tell(ctx)
	if t.own != nil {
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
func (t *tree) join(ctx context.Context, listens string) (owner string, err error) {
	self, err := t.node.Self(ctx)
	if err != nil {
		return "", err
	}
	list, err := t.node.Slivers(ctx)
	t.self = sliver{ID: fmt.Sprintf("%s@%.8s", self.Sliver, self.Node), Node: self.Node, Name: self.Name, Addr: listens}
	source := t.from == self.Name || t.from == self.Node
	for _, s := range list {
		if s.Self && len(s.Ports) > 0 {
			t.self.Addr = net.JoinHostPort(s.Public, strconv.Itoa(int(s.Ports[0].Number)))
		}
		source = source && s.Sliver >= self.Sliver
	}
	if source && err == nil {
		t.self.Path = []string{t.self.ID}
		t.self.Key, t.own, err = ed25519.GenerateKey(nil)
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
		if json.Unmarshal(m.Data, &one) == nil && (one.Node == m.Author || m.Author == owner) && one.ID != t.self.ID {
			t.locked(func() { t.know(&one) })
		}
	}
}

// tell says each third beat, and where the way to the source has changed, where this
// sliver is and what it has.
func (t *tree) tell(ctx context.Context) {
	var told []string
	for n := 0; ctx.Err() == nil; n++ {
		if n%10 == 0 {
			paths, _ := t.node.Paths(ctx) // else they are as they were
			for _, p := range paths {
				t.locked(func() { t.rtts[p.Node] = p.RTT })
			}
		}
		var self sliver
		var is string
		t.locked(func() {
			t.self.Room = degree - len(t.carried)
			self, is = t.self, t.is()
		})
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

func rest(ctx context.Context, news <-chan struct{}, d time.Duration) {
	select {
	case <-news:
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (t *tree) speak(ctx context.Context, every time.Duration) {
	for m := (message{N: 1}); ctx.Err() == nil; m.N++ {
		m.Data = fmt.Appendf(nil, "message %0500d", m.N)
		m.Sig = ed25519.Sign(t.own, m.signed())
		t.locked(func() { t.take(line{t.self.Path, 0, []message{m}}, "") })
		rest(ctx, nil, every)
	}
}

// hang keeps this sliver hanging on somebody.
func (t *tree) hang(ctx context.Context) {
	for ctx.Err() == nil {
		var on *sliver
		t.locked(func() { on, _ = t.best() })
		if on == nil {
			rest(ctx, nil, t.beat/4)
			continue
		}
		err := t.follow(ctx, *on)
		log.Printf("%s lets go of %s: %v", t.self.Name, on.Name, err)
		t.locked(func() {
			t.take(line{}, "nobody")
			delete(t.others, on.ID) // until it says that it is there
		})
	}
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
		if l.Path != nil {
			lost = time.Now()
		}
		t.locked(func() { err = t.next(l, on, time.Since(began), time.Since(lost)) })
		if err != nil {
			return err
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
	defer t.locked(func() { delete(t.carried, id) })
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
