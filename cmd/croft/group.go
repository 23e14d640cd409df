// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"croft/node/client"
	"croft/node/slice"
)

// groupLimit bounds how many nodes are spoken to at once.
const groupLimit = 64

// callLimit is how long one node may take to answer a question.
const callLimit = 20 * time.Second

var errEnded = errors.New("the lease has ended")

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
func (a *app) group(ctx context.Context, t target, do func(context.Context, remote) error) []outcome {
	out := make([]outcome, len(t.Slivers))
	slots := make(chan struct{}, groupLimit)
	var wg sync.WaitGroup
	for i, s := range t.Slivers {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			n := remote{a.node(t, s.Node), s}
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

// only narrows a target to one node, if one is named.
func only(t target, node string) (target, error) {
	if node == "" {
		return t, nil
	}
	var names []string
	for _, s := range t.Slivers {
		if s.Name == node || s.Node.String() == node || s.Node.Short() == node {
			t.Slivers = []slice.Sliver{s}
			return t, nil
		}
		names = append(names, s.Name)
	}
	return t, fail(exitNothing, didYouMean(node, names), "slice %s has no sliver on node %q", t.Slice, node)
}
