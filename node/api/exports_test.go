// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"croft/lease/leasetest"
)

// Rows of the fake: as many as the slice's name is long, then what it says.
func (*fake) Rows(ctx context.Context, by Caller, slice string, from, until time.Time) iter.Seq2[Flow, error] {
	return func(yield func(Flow, error) bool) {
		if slice == "" {
			yield(Flow{}, ErrBadRequest)
			return
		}
		for i := range len(slice) * 1000 {
			if !yield(Flow{Node: by.Principal, Slice: slice, Packets: uint64(i), First: from, Last: until}, nil) {
				return
			}
		}
		if slice == "torn" {
			yield(Flow{}, errors.New("a segment is corrupt"))
		}
	}
}

func (f *fake) AllRows(ctx context.Context, from, until time.Time) iter.Seq2[Flow, error] {
	if until.IsZero() {
		return func(func(Flow, error) bool) {}
	}
	return f.Rows(ctx, Caller{Principal: leasetest.Who("node")}, "all", from, until)
}

func (*fake) Capture(ctx context.Context, by Caller, sliver string, req CaptureRequest, w io.Writer) (Captured, error) {
	if err := own(by, sliver); err != nil {
		return Captured{}, err
	}
	if req.Bytes > 0 {
		if _, err := io.WriteString(w, strings.Repeat("x", int(req.Bytes))); err != nil {
			return Captured{}, err
		}
	}
	if req.Filter == "torn" {
		return Captured{}, ErrNotRunning
	}
	return Captured{Ended: "time", Packets: req.Packets, Lost: uint64(req.Snap), Bytes: uint64(req.For)}, nil
}

func TestRowsStream(t *testing.T) {
	f := &fake{}
	remote := serve(t, Remote(f.node(), "test"), "alice")
	local := serve(t, Local(f.node(), "test"), "")
	get := func(url string) (*http.Response, []byte) {
		t.Helper()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, b
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)
	resp, b := get(remote.URL + "/v1/audit/rows?slice=ron&from=" + at.Format(time.RFC3339Nano))
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	var last Flow
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 3000 || last.Packets != 2999 ||
		!last.First.Equal(at) || !last.Last.IsZero() || last.Node != leasetest.Who("alice") {
		t.Errorf("%d lines, the last is %+v, %v", len(lines), last, err)
	}
	if resp.Header.Get("Content-Type") != mediaRows || resp.Trailer.Get(HeaderProblem) != "" {
		t.Errorf("%+v, %+v", resp.Header, resp.Trailer)
	}
	if resp, b := get(remote.URL + "/v1/audit/rows?slice=torn"); bytes.Count(b, []byte("\n")) != 4000 ||
		!strings.Contains(resp.Trailer.Get(HeaderProblem), "a segment is corrupt") {
		t.Errorf("%d bytes, then %v", len(b), resp.Trailer)
	}
	if resp, b := get(local.URL + "/v1/audit/rows"); resp.StatusCode != 200 || len(b) > 0 || resp.Header.Get("Content-Type") != mediaRows {
		t.Errorf("no rows: %s, %d bytes, %v", resp.Status, len(b), resp.Header)
	}
	if _, b := get(local.URL + "/v1/audit/rows?until=2026-01-02T03:04:05Z"); bytes.Count(b, []byte("\n")) != 3000 {
		t.Errorf("%d bytes of all rows", len(b))
	}
	for _, bad := range []string{"", "?slice=ron&from=yesterday", "?slice=ron&until=1"} {
		if resp, b := get(remote.URL + "/v1/audit/rows" + bad); resp.StatusCode != 400 {
			t.Errorf("%q: %s %s", bad, resp.Status, b)
		}
	}
}

func TestCaptureStreams(t *testing.T) {
	remote := serve(t, Remote((&fake{}).node(), "test"), "alice")
	for path, want := range map[string]struct {
		status, size int
		trailer      string
		says         string
	}{
		"mine/capture?for=3ns&packets=4&bytes=5&snap=6": {200, 5, HeaderCaptured, `"ended":"time","packets":4,"bytes":3,"received":0,"lost":6`},
		"mine/capture?bytes=5&filter=torn":              {200, 5, HeaderProblem, "not running"},
		"mine/capture?filter=torn":                      {409, -1, "", ""},
		"theirs/capture":                                {404, -1, "", ""},
		"mine/capture?for=10":                           {400, -1, "", ""},
		"mine/capture?for=-1s":                          {400, -1, "", ""},
		"mine/capture?packets=-1":                       {400, -1, "", ""},
		"mine/capture?bytes=9223372036854775808":        {400, -1, "", ""},
		"mine/capture?snap=x":                           {400, -1, "", ""},
	} {
		resp, err := http.Get(remote.URL + "/v1/slivers/" + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want.status || want.size >= 0 && len(b) != want.size ||
			!strings.Contains(resp.Trailer.Get(want.trailer), want.says) {
			t.Errorf("%s: %s, %d bytes, %v, %v", path, resp.Status, len(b), resp.Trailer, err)
		}
	}
}
