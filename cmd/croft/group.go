// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"croft/lease/sign"
	"croft/node/client"
	"croft/node/slice"
)

// writer is where a table's rows go.
type writer = io.Writer

// groupLimit bounds how many nodes are spoken to at once.
const groupLimit = 64

// remote is the channel to one sliver of a slice.
type remote struct {
	*client.Node
	slice.Sliver
}

// outcome is how one node answered.
type outcome struct {
	name string
	err  error
}

// group does something at every sliver of a slice at once. Partial failure is
// normal: it returns what each node said.
func (a *app) group(ctx context.Context, rec slice.Record, key *sign.Key, do func(context.Context, remote) error) []outcome {
	out := make([]outcome, len(rec.Slivers))
	slots := make(chan struct{}, groupLimit)
	var wg sync.WaitGroup
	for i, s := range rec.Slivers {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			n := remote{a.way().Node(s.Node, key), s}
			defer n.Close()
			out[i] = outcome{s.Name, do(ctx, n)}
		})
	}
	wg.Wait()
	return out
}

// summary prints who did not do it, and gives the whole an exit code: that of
// the first failure if all failed, partial if some did.
func (a *app) summary(out []outcome) error {
	var first error
	bad := 0
	for _, o := range out {
		if o.err == nil {
			continue
		}
		bad++
		if len(out) == 1 { // it is the error
			return &nodeError{o.name, o.err}
		}
		a.say("%s: %s", o.name, plain(o.err))
		if first == nil {
			first = o.err
		}
	}
	switch {
	case bad == 0:
		return nil
	case bad == len(out):
		return &failure{code: classify(first).code, err: fmt.Errorf("none of %d nodes did it", len(out))}
	}
	return &failure{code: exitPartial, err: fmt.Errorf("%d of %d nodes did not do it", bad, len(out))}
}

// only narrows a record to one node, if one is named.
func only(rec slice.Record, node string) (slice.Record, error) {
	if node == "" {
		return rec, nil
	}
	var names []string
	for _, s := range rec.Slivers {
		if s.Name == node || s.Node.String() == node || s.Node.Short() == node {
			rec.Slivers = []slice.Sliver{s}
			return rec, nil
		}
		names = append(names, s.Name)
	}
	return rec, fail(exitNothing, didYouMean(node, names), "slice %s has no sliver on node %q", rec.Slice, node)
}

// lines writes whole lines of several slivers to one stream, each with the name
// of its node before it.
type lines struct {
	mu   *sync.Mutex
	to   io.Writer
	head string
	node string // not empty: as JSON objects
	part []byte
}

// logLine is a line of a program's output under --json.
type logLine struct {
	Node string `json:"node"`
	Line string `json:"line"`
}

// maxLine is where a line without an end is cut.
const maxLine = 64 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range p {
		if b != '\n' && len(l.part) < maxLine {
			l.part = append(l.part, b)
			continue
		}
		if err := l.flush(); err != nil {
			return 0, err
		}
		if b != '\n' {
			l.part = append(l.part, b)
		}
	}
	return len(p), nil
}

func (l *lines) flush() error {
	var err error
	if l.node != "" {
		err = json.NewEncoder(l.to).Encode(logLine{l.node, string(l.part)})
	} else {
		_, err = fmt.Fprintf(l.to, "%s%s\n", l.head, l.part)
	}
	l.part = l.part[:0]
	return err
}

// end writes what is left of a last line.
func (l *lines) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) == 0 {
		return nil
	}
	return l.flush()
}

// callLimit is how long one node may take to answer a question.
const callLimit = 20 * time.Second

var errEnded = errors.New("the lease has ended")
