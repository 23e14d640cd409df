// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// trailerProblem is where the node says why a stream ends that had begun.
const trailerProblem = "Croft-Problem"

// stream asks for one object in a line. When it returns the node has begun to answer;
// the rest is to be read. A stream that breaks off ends with an error, unless ctx has
// ended.
func stream[T any](ctx context.Context, n *Node, path string) (iter.Seq2[T, error], error) {
	resp, err := n.do(ctx, "GET", path, "", nil)
	if err != nil {
		return nil, err
	}
	return func(yield func(T, error) bool) {
		defer resp.Body.Close()
		var none T
		fail := func(err error) {
			if ctx.Err() == nil {
				yield(none, fmt.Errorf("reading %s: %w", path, err))
			}
		}
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			var v T
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				fail(err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			fail(err)
		} else if p := resp.Trailer.Get(trailerProblem); p != "" {
			fail(refusal(resp.StatusCode, []byte(p)))
		}
	}, nil
}

// again yields what a stream has, and when it breaks off opens it again after a pause.
// An error is yielded, and more follows if the caller goes on. What a stream that ends
// without an error means is end; nil: there is no more.
func again[T any](ctx context.Context, open func() (iter.Seq2[T, error], error), end error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
			began := time.Now()
			all, err := open()
			if err == nil {
				err = end
				for v, broke := range all {
					if broke != nil {
						err = broke
						break
					}
					if !yield(v, nil) {
						return
					}
				}
			}
			if ctx.Err() != nil || err == nil || !yield(none, err) {
				return
			}
			if time.Since(began) > calmAfter {
				pause = minPause
			}
			rest := time.NewTimer(pause)
			select {
			case <-rest.C:
			case <-ctx.Done():
				rest.Stop()
			}
		}
	}
}
