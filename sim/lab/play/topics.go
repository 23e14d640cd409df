// SPDX-License-Identifier: Apache-2.0

package play

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"croft/gossip/topic"
	"croft/lease"
	"croft/node/daemon"
	"croft/sim/report"
	"croft/sim/scenario"
)

// speech is a topic on which the slivers of a slice speak. As no sliver has a door to
// its node yet, `croft topic` is run beside each of their nodes, with the key of that
// node, which the slice's record lists.
type speech struct {
	do      *scenario.Publish
	name    topic.Name
	members []*player
	ends    time.Duration // when nobody listens any more
}

// named is the topic as the command wants it.
func (s *speech) named() string {
	return fmt.Sprintf("%s@%s/%s", s.name.Slice, s.name.Owner, s.name.Topic)
}

// publish has the slivers of a slice speak.
func (g *game) publish(ctx context.Context, do *scenario.Publish) error {
	s := g.sliceOf(ctx, do.Slice)
	if s == nil {
		return nil
	}
	began := g.now()
	sp := &speech{do: do, ends: began + do.After + time.Duration(do.Count)*do.Every + report.HeardWithin}
	for i := range do.Count {
		g.after(ctx, do.After+time.Duration(i)*do.Every, func(ctx context.Context) error { return g.say(ctx, sp, i) })
	}
	rec, err := g.allow(ctx, s, do)
	if said := new(refused); errors.As(err, &said) {
		g.unsaid(said.Text)
		return nil
	} else if err != nil {
		return err
	}
	members, err := g.hosts(rec.Nodes)
	if err != nil {
		return err
	}
	g.mu.Lock()
	sp.members, sp.name = members, topic.Name{Owner: rec.Owner, Slice: do.Slice, Topic: do.Topic}
	g.mu.Unlock()
	for _, p := range members {
		g.task(ctx, func(ctx context.Context) error { return g.listen(ctx, sp, p) })
	}
	return nil
}

// allow has the owner say that the slice's slivers may speak, and returns what he said.
func (g *game) allow(ctx context.Context, s *slice, do *scenario.Publish) (rec lease.SliceRecord, err error) {
	if _, err := g.command(ctx, s, "topic", "allow", do.Slice+"/"+do.Topic, "--slivers"); err != nil {
		return rec, err
	}
	out, err := g.command(ctx, s, "slice", "show", do.Slice)
	if err != nil {
		return rec, err
	}
	if err := json.Unmarshal(out.result, &rec); err != nil {
		return rec, fmt.Errorf("reading what was said of slice %s: %w", do.Slice, err)
	}
	return rec, nil
}

// hosts are the nodes of those keys.
func (g *game) hosts(keys []lease.Principal) (list []*player, err error) {
	for _, p := range g.nodes {
		if !p.known() {
			continue // it never came up
		}
		key, err := daemon.NodeKey(p.state)
		if err != nil {
			return nil, err
		}
		if slices.Contains(keys, key.Principal()) {
			list = append(list, p)
		}
	}
	return list, nil
}

// beside is a command of whoever is at a node.
func (g *game) beside(ctx context.Context, p *player, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.croft, append([]string{"--json", "--socket", p.socket, "--home", filepath.Join(g.homes, "at-"+strings.ReplaceAll(p.name, "/", "-")),
		"--key", p.key()}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = callLimit
	return cmd
}

// listen hears the topic at a node, and again when its daemon is back.
func (g *game) listen(ctx context.Context, sp *speech, p *player) error {
	ctx, cancel := context.WithTimeout(ctx, sp.ends-g.now())
	defer cancel()
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if p.here() {
			if err := g.hear(ctx, sp, p); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// hear runs one command until its node's daemon ends, or nobody speaks any more.
func (g *game) hear(ctx context.Context, sp *speech, p *player) error {
	cmd := g.beside(ctx, p, "topic", "sub", sp.named())
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("hearing %s at %s: %w", sp.named(), p.name, err)
	}
	in := bufio.NewScanner(out)
	in.Buffer(nil, maxOutput)
	for in.Scan() {
		var m struct {
			Made int64  `json:"made"`
			Data []byte `json:"data"`
		}
		if json.Unmarshal(in.Bytes(), &m) == nil {
			g.mu.Lock()
			g.figures.talk.Made(string(m.Data), time.UnixMilli(m.Made).Sub(g.began)) // by the clock that all have
			g.figures.talk.Hear(string(m.Data), p.index, g.now())
			g.mu.Unlock()
		}
	}
	_ = cmd.Wait() // its daemon has ended, or nobody speaks any more
	return nil
}

// say has one sliver say something: the next whose daemon is up.
func (g *game) say(ctx context.Context, sp *speech, i int) error {
	data := []byte(fmt.Sprintf("%08d", i))
	data = append(data, bytes.Repeat([]byte("."), max(sp.do.Bytes-len(data), 0))...)
	g.mu.Lock()
	var p *player
	var to []int
	for k := range sp.members {
		o := sp.members[(i+k)%len(sp.members)]
		if p == nil && o.isUp {
			p = o
		} else {
			to = append(to, o.index)
		}
	}
	if p != nil {
		g.figures.talk.Say(string(data), g.now(), to, sp.do.After)
	}
	g.mu.Unlock()
	if p == nil {
		g.unsaid("nobody is up")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := g.beside(ctx, p, "topic", "pub", sp.named())
	var talk bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(data), &limited{&talk}
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		g.unsaid(whyNot(talk.Bytes(), err))
	}
	return nil
}

// whyNot is what a command said that it could not do.
func whyNot(talk []byte, err error) string {
	for line := range bytes.Lines(talk) {
		var r refused
		if json.Unmarshal(line, &r) == nil && r.Text != "" {
			return r.Text
		}
	}
	return err.Error()
}

func (g *game) unsaid(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.figures.talk.Unsaid(g.now(), reason)
}

// key is where the node's key is.
func (p *player) key() string { return filepath.Join(p.state, "node", "key") }

// known reports whether the node was ever up: then it has a key.
func (p *player) known() bool {
	_, err := os.Stat(p.key())
	return err == nil
}
