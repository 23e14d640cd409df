// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/node/api"
)

const manyRows = 5000

// Rows of a slice: as many as that; then what its name says.
func (f *far) Rows(_ context.Context, by api.Caller, slice string, from, until time.Time) iter.Seq2[api.Flow, error] {
	return func(yield func(api.Flow, error) bool) {
		for i := range manyRows {
			if !yield(api.Flow{Node: by.Principal, Slice: slice, Packets: uint64(i), First: from, Last: until}, nil) {
				return
			}
		}
		switch slice {
		case "corrupt":
			yield(api.Flow{}, errors.New("a segment is corrupt"))
		case "dead":
			panic(http.ErrAbortHandler)
		case "long":
			yield(api.Flow{Slice: strings.Repeat("x", maxRow)}, nil)
		}
	}
}

func (f *far) AllRows(ctx context.Context, from, until time.Time) iter.Seq2[api.Flow, error] {
	return f.Rows(ctx, api.Caller{Principal: leasetest.Who("node")}, "all", from, until)
}

func (f *far) Capture(_ context.Context, by api.Caller, sliver string, req api.CaptureRequest, w io.Writer) (api.Captured, error) {
	if sliver == "none" {
		return api.Captured{}, api.ErrNoSliver
	}
	if _, err := io.WriteString(w, by.Principal.String()); err != nil {
		return api.Captured{}, err
	}
	switch sliver {
	case "broken":
		return api.Captured{}, errors.New("the lease is over")
	case "dead":
		panic(http.ErrAbortHandler)
	}
	return api.Captured{Ended: req.Filter, Packets: req.Packets, Bytes: req.Bytes, Received: uint64(req.Snap), Lost: uint64(req.For)}, nil
}

func TestRowsComeToTheirEnd(t *testing.T) {
	way, _ := network(t)
	node := way.Node(leasetest.Who("node"), leasetest.Key("alice"))
	defer node.Close()
	from := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	count := func(rows iter.Seq2[api.Flow, error]) (n int, last error) {
		for f, err := range rows {
			if last = err; err != nil {
				continue
			}
			if f.Packets != uint64(n) || !f.First.Equal(from) || !f.Last.IsZero() {
				t.Fatalf("row %d is %+v", n, f)
			}
			n++
		}
		return n, last
	}
	if n, err := count(node.Rows(t.Context(), "web", from, time.Time{})); n != manyRows || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	if n, err := count(way.Rows(t.Context(), from, time.Time{})); n != manyRows || err != nil {
		t.Errorf("%d rows of the node, %v", n, err)
	}
	for slice, says := range map[string]string{"corrupt": "a segment is corrupt", "dead": "EOF", "long": "token too long"} {
		if n, err := count(node.Rows(t.Context(), slice, from, time.Time{})); n > manyRows || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %d rows, then %v", slice, n, err)
		}
	}
	for range node.Rows(t.Context(), "web", from, time.Time{}) {
		break // who has enough ends it
	}
	if _, err := count(New(filepath.Join(t.TempDir(), "none")).Rows(t.Context(), from, from)); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no daemon: %v", err)
	}
}

func TestCapture(t *testing.T) {
	way, _ := network(t)
	node := way.Node(leasetest.Who("node"), leasetest.Key("alice"))
	defer node.Close()
	req := api.CaptureRequest{For: 1500 * time.Millisecond, Packets: 2, Bytes: 3, Snap: 64, Filter: "host ::1 and tcp"}
	var file bytes.Buffer
	done, err := node.Capture(t.Context(), "mine", req, &file)
	want := api.Captured{Ended: req.Filter, Packets: 2, Bytes: 3, Received: 64, Lost: uint64(req.For)}
	if err != nil || done.Ended != want.Ended || done.Packets != 2 || done.Bytes != 3 || done.Received != 64 || done.Lost != want.Lost ||
		file.String() != leasetest.Who("alice").String() {
		t.Errorf("%+v, %q, %v", done, file.String(), err)
	}
	for sliver, says := range map[string]string{"none": "no such sliver", "broken": "the lease is over", "dead": "EOF"} {
		if _, err := node.Capture(t.Context(), sliver, req, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", sliver, err)
		}
	}
	closed, w := io.Pipe()
	closed.Close()
	if _, err := node.Capture(t.Context(), "mine", req, w); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("written to nobody: %v", err)
	}
}
