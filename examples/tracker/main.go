// SPDX-License-Identifier: Apache-2.0

// Command tracker is another tenant of the role images, written against package shim
// alone: it remembers which nodes were to have an image, and names them to all that
// want it later, those of the last hour first.
//
//	CGO_ENABLED=0 go build ./examples/tracker
//	croft run --where 'node=…' --name tracker ./tracker
//	croft role try images tracker
//
// The page docs/roles/images.md says what it is asked. It remembers 1,024 images and 256
// nodes of each.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

const (
	maxImages = 1024
	maxNodes  = 256 // that an answer may name
	fresh     = time.Hour
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := &tracker{images: map[string]map[string]time.Time{}}
	log.SetFlags(0)
	log.Print("serving images/1")
	if err := shim.Open().Serve(ctx, "images/1", t.answer); ctx.Err() == nil {
		log.Fatal(err)
	}
}

// tracker remembers when a node was last said to have, or be about to have, an image.
type tracker struct {
	mu     sync.Mutex
	images map[string]map[string]time.Time
}

// question is what the node asks: docs/roles/images.md.
type question struct {
	Digest string   `json:"digest"`
	Size   int64    `json:"size"`
	Among  []string `json:"among"`
	Known  []string `json:"known"`
}

func (t *tracker) answer(_ context.Context, r shim.Request) (any, error) {
	var q question
	if err := json.Unmarshal(r.Ask, &q); err != nil {
		return nil, &shim.Failure{Code: "ask", Text: err.Error()}
	}
	if r.Call != "holders" || !strings.HasPrefix(q.Digest, "sha256:") {
		return nil, &shim.Failure{Code: "ask", Text: "want holders of a digest"}
	}
	nodes := t.holders(q, time.Now())
	return nil, r.Part(map[string][]string{"nodes": nodes})
}

// holders are those that asked the node, those that were to have the image earlier, and
// those that are to have it now.
func (t *tracker) holders(q question, now time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.images[q.Digest]
	if seen == nil {
		t.makeRoom()
		seen = map[string]time.Time{}
		t.images[q.Digest] = seen
	}
	var earlier []string
	for node, at := range seen {
		if now.Sub(at) < fresh {
			earlier = append(earlier, node)
		} else {
			delete(seen, node)
		}
	}
	slices.SortFunc(earlier, func(a, b string) int { return seen[b].Compare(seen[a]) })
	var out []string
	for _, node := range slices.Concat(q.Known, earlier, q.Among) {
		if len(out) < maxNodes && !slices.Contains(out, node) {
			out = append(out, node)
		}
	}
	for _, node := range slices.Concat(q.Known, q.Among) {
		if _, known := seen[node]; known || len(seen) < maxNodes {
			seen[node] = now
		}
	}
	return out
}

// makeRoom forgets the image that was wanted least lately.
func (t *tracker) makeRoom() {
	if len(t.images) < maxImages {
		return
	}
	var oldest string
	var when time.Time
	for digest, nodes := range t.images {
		last := time.Time{}
		for _, at := range nodes {
			if at.After(last) {
				last = at
			}
		}
		if oldest == "" || last.Before(when) {
			oldest, when = digest, last
		}
	}
	delete(t.images, oldest)
}
