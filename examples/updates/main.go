// SPDX-License-Identifier: Apache-2.0

// Updates serves updates/1 to the node on which it runs: the newest of the releases that
// come with it, of those in a directory, and of those said on a topic, held back so that
// not all nodes have it at once. It need not be believed: the node verifies signatures.
//
//	CGO_ENABLED=0 go build ./examples/updates
//	croft run --where 'node=…' --name news ./updates -- -over 24h -topic news@OWNER/releases
//	croft role try updates news
package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

const (
	domain  = "croft/release/1"
	maxText = 8 << 10 // of a release
	maxKept = 64      // releases
)

// release is one of docs/roles/updates.md, as far as it has to be understood here.
type release struct {
	text        string
	version     [3]uint64
	said, until time.Time
}

func parse(text string) (r release, err error) {
	body, _, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(body, "\n")
	if lines[0] != domain || len(text) > maxText {
		return r, errors.New("no release")
	}
	r.text = text
	for _, l := range lines[1:] {
		key, value, _ := strings.Cut(l, " ")
		switch key {
		case "version":
			r.version, err = version(value)
		case "said":
			r.said, err = time.Parse(time.RFC3339, value)
		case "until":
			r.until, err = time.Parse(time.RFC3339, value)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func version(s string) (v [3]uint64, err error) {
	parts := strings.Split(s, ".")
	if len(parts) != len(v) {
		return v, errors.New("no version")
	}
	for i, p := range parts {
		if v[i], err = strconv.ParseUint(p, 10, 31); err != nil {
			return v, err
		}
	}
	return v, nil
}

// above: it is higher, or said later.
func (r release) above(o release) bool {
	for i := range r.version {
		if r.version[i] != o.version[i] {
			return r.version[i] > o.version[i]
		}
	}
	return r.said.After(o.said)
}

// known are releases that were heard of, the newest of each version.
type known struct {
	mu   sync.Mutex
	list map[[3]uint64]release
}

// hear keeps a release; of too many the lowest goes.
func (k *known) hear(r release) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if old, ok := k.list[r.version]; !ok || r.above(old) {
		k.list[r.version] = r
	}
	if len(k.list) > maxKept {
		low := r
		for _, o := range k.list {
			if low.above(o) {
				low = o
			}
		}
		delete(k.list, low.version)
	}
}

// newest is the highest release that is due on a node, and not lower than what runs.
func (k *known) newest(node string, over time.Duration, running [3]uint64, now time.Time) (best release, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.list {
		due := r.said.Add(time.Duration(turn(node, r.version) * float64(over)))
		if now.Before(due) || now.After(r.until) || (release{version: running}).above(release{version: r.version}) {
			continue
		}
		if !ok || r.above(best) {
			best, ok = r, true
		}
	}
	return best, ok
}

// turn is when a node has a version, from 0 to 1: another order for each.
func turn(node string, v [3]uint64) float64 {
	h := sha256.Sum256(fmt.Append(nil, node, v))
	return float64(binary.BigEndian.Uint64(h[:8])) / math.MaxUint64
}

// read takes the releases of a directory in.
func (k *known) read(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.release"))
	for _, p := range paths {
		text, bad := readBounded(p)
		if bad == nil {
			var r release
			if r, bad = parse(text); bad == nil {
				k.hear(r)
			}
		}
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", p, bad))
		}
	}
	return err
}

func readBounded(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	return string(b), err
}

// follow hears what is said on a topic, by whom the slice's record lets speak there.
func (k *known) follow(ctx context.Context, node *shim.Node, topic string) {
	for m, err := range node.Hear(ctx, topic) { // after an error it goes on
		if err != nil {
			continue
		}
		if r, err := parse(string(m.Data)); err == nil {
			k.hear(r)
		}
	}
}

func main() {
	dir := flag.String("dir", "/releases", "directory of releases, read once")
	topic := flag.String("topic", "", "topic on which releases are said")
	over := flag.Duration("over", 0, "time over which nodes get a release, after it was said")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	node, all := shim.Open(), &known{list: map[[3]uint64]release{}}
	if err := all.read(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "updates:", err)
	}
	if *topic != "" {
		go all.follow(ctx, node, *topic)
	}
	err := node.Serve(ctx, "updates/1", func(ctx context.Context, r shim.Request) (any, error) {
		var q struct {
			Running string `json:"running"`
		}
		bad := json.Unmarshal(r.Ask, &q)
		running, err := version(q.Running)
		if r.Call != "which" || bad != nil || err != nil {
			return nil, &shim.Failure{Code: "ask", Text: "want which"}
		}
		self, err := node.Self(ctx)
		if err != nil {
			return nil, err
		}
		done := map[string]any{}
		if best, ok := all.newest(self.Node, *over, running, time.Now()); ok {
			done["release"] = best.text
		}
		return done, nil
	})
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "updates:", err)
		os.Exit(1)
	}
}
