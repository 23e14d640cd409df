// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// nodeAt listens where a node would.
func nodeAt(t *testing.T) (*Node, net.Listener) {
	t.Helper()
	dir, err := os.MkdirTemp("", "shim") // short: a socket's path has a bound
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "node.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("CROFT_SOCKET", path)
	return Open(), l
}

// A handler's answers go to the node line by line, in whatever order they are ready.
func TestServe(t *testing.T) {
	n, l := nodeAt(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	served, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		served <- n.Serve(ctx, "discovery/1", func(ctx context.Context, r Request) (any, error) {
			switch string(r.Ask) {
			case `"parts"`:
				if err := r.Part(map[string]int{"n": 1}); err != nil {
					return nil, err
				}
				return nil, nil
			case `"much"`:
				for n := range maxParts + 2 {
					if err := r.Part(n); err != nil {
						return nil, &Failure{Code: "much", Text: strconv.Itoa(n)}
					}
				}
			case `"large"`:
				for n := range maxWhole {
					if err := r.Part(strings.Repeat("x", maxLine-100)); err != nil {
						return nil, &Failure{Code: "large", Text: strconv.Itoa(n)}
					}
				}
			case `"unwritable"`:
				return func() {}, nil
			case `"busy"`:
				return nil, &Failure{Code: "busy", Text: "later"}
			case `"long"`:
				return strings.Repeat("x", maxLine), nil
			}
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil, ctx.Err()
		})
	}()
	for range 2 { // it dials again
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		hear := func(want string) {
			t.Helper()
			if line, err := r.ReadString('\n'); err != nil || strings.TrimSpace(line) != want {
				t.Fatalf("heard %q, %v; want %s", line, err, want)
			}
		}
		hear(`{"serve":"discovery/1"}`)
		fmt.Fprintln(c, `{"ok":{"role":"discovery/1"}}`)
		fmt.Fprintln(c, `{"id":1,"call":"find","within_ms":1,"ask":"waits"}`)
		fmt.Fprintln(c, `{"id":2,"call":"find","within_ms":60000,"ask":"parts"}`)
		hear(`{"id":2,"part":{"n":1}}`)
		hear(`{"id":2,"done":{}}`)
		fmt.Fprintln(c, `{"id":3,"call":"find","within_ms":60000,"ask":"busy"}`)
		hear(`{"id":3,"error":{"code":"busy","text":"later"}}`)
		fmt.Fprintln(c, `{"id":4,"call":"find","within_ms":60000,"ask":"long"}`)
		hear(fmt.Sprintf(`{"id":4,"error":{"code":"long","text":"a line of an answer is too long: %d bytes, limit %d"}}`, maxLine+18, maxLine))
		fmt.Fprintln(c, `{"id":5,"call":"find","within_ms":60000,"ask":"unwritable"}`)
		hear(`{"id":5,"error":{"code":"failed","text":"writing an answer: json: unsupported type: func()"}}`)
		fmt.Fprintln(c, `{"id":6,"call":"find","within_ms":60000,"ask":"much"}`)
		for n := range maxParts {
			hear(fmt.Sprintf(`{"id":6,"part":%d}`, n))
		}
		hear(fmt.Sprintf(`{"id":6,"error":{"code":"much","text":"%d"}}`, maxParts))
		fmt.Fprintln(c, `{"id":7,"call":"find","within_ms":60000,"ask":"large"}`)
		n := (maxWhole - maxEnd) / (maxLine - 100 + 18)
		for range n {
			hear(fmt.Sprintf(`{"id":7,"part":"%s"}`, strings.Repeat("x", maxLine-100)))
		}
		hear(fmt.Sprintf(`{"id":7,"error":{"code":"large","text":"%d"}}`, n))
		fmt.Fprintln(c, `{"id":1,"cancel":true}`)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a question that is taken back ends with %v", err)
		}
		c.Close()
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(c, `{"error":{"code":"role","text":"no such role"}}`)
	if err := <-served; !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no such role") {
		t.Errorf("%v", err)
	}
	c.Close()
}

// A refusal is a sentence, and no node is an error.
func TestRefusals(t *testing.T) {
	n, l := nodeAt(t)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"status":409,"detail":"the sliver is not running"}`)
	}))
	if _, err := n.Lease(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the sliver is not running") {
		t.Errorf("%v", err)
	}
	for _, err := range n.Offers(t.Context(), time.Time{}) {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%v", err)
		}
	}
	if _, err := At(filepath.Join(t.TempDir(), "none")).Self(t.Context()); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
}

func ExampleNode_Serve() {
	node := Open()
	err := node.Serve(context.Background(), "discovery/1", func(ctx context.Context, r Request) (any, error) {
		known, matched := 0, 0
		for f, err := range node.Offers(ctx, time.Time{}) {
			if err != nil {
				return nil, err
			}
			if known++; f.Offer.Closed { // and whatever the query wants
				continue
			}
			matched++
			if err := r.Part(map[string]any{"offers": []any{map[string]any{"signed": f.Signed}}}); err != nil {
				return nil, err
			}
		}
		return map[string]int{"known": known, "matched": matched}, nil
	})
	fmt.Println(err)
}
