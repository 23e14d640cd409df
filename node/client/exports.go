// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"croft/node/api"
)

// maxRow is the size in bytes of a row as JSON: names, addresses and numbers.
const maxRow = 16 << 10

// Rows yields every recorded flow of the caller's slice that overlaps a term; a
// zero time is no bound. After an error nothing follows.
func (n *Node) Rows(ctx context.Context, slice string, from, until time.Time) iter.Seq2[api.Flow, error] {
	q := term(from, until)
	q.Set("slice", slice)
	return rows(ctx, n.http, q)
}

// Rows yields every recorded flow of the node behind the socket, of all slices.
func (w *Way) Rows(ctx context.Context, from, until time.Time) iter.Seq2[api.Flow, error] {
	return func(yield func(api.Flow, error) bool) {
		for f, err := range rows(ctx, w.http, term(from, until)) {
			if !yield(f, w.noDaemon(err)) {
				return
			}
		}
	}
}

func term(from, until time.Time) url.Values {
	q := url.Values{}
	for name, t := range map[string]time.Time{"from": from, "until": until} {
		if !t.IsZero() {
			q.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	return q
}

func rows(ctx context.Context, c *http.Client, q url.Values) iter.Seq2[api.Flow, error] {
	return func(yield func(api.Flow, error) bool) {
		resp, err := get(ctx, c, "/v1/audit/rows?"+q.Encode())
		if err != nil {
			yield(api.Flow{}, err)
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, maxRow)
		for lines.Scan() {
			var f api.Flow
			if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
				if !lines.Scan() && lines.Err() != nil { // it was the beginning of one
					err = lines.Err()
				}
				yield(f, fmt.Errorf("the rows broke off: %w", err))
				return
			}
			if !yield(f, nil) {
				return
			}
		}
		if err = lines.Err(); err == nil {
			err = trailed(resp)
		}
		if err != nil {
			yield(api.Flow{}, fmt.Errorf("the rows broke off: %w", err))
		}
	}
}

// Capture copies a sliver's packets to w as pcapng and returns how it ended.
func (n *Node) Capture(ctx context.Context, sliver string, req api.CaptureRequest, w io.Writer) (done api.Captured, err error) {
	q := url.Values{}
	if req.For > 0 {
		q.Set("for", req.For.String())
	}
	for name, value := range map[string]uint64{"packets": req.Packets, "bytes": req.Bytes, "snap": uint64(max(req.Snap, 0))} {
		if value > 0 {
			q.Set(name, strconv.FormatUint(value, 10))
		}
	}
	if req.Filter != "" {
		q.Set("filter", req.Filter)
	}
	resp, err := get(ctx, n.http, "/v1/slivers/"+url.PathEscape(sliver)+"/capture?"+q.Encode())
	if err != nil {
		return done, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return done, fmt.Errorf("the capture broke off: %w", err)
	}
	if err := trailed(resp); err != nil {
		return done, err
	}
	if err := json.Unmarshal([]byte(resp.Trailer.Get(api.HeaderCaptured)), &done); err != nil {
		return done, fmt.Errorf("how the capture ended: %w", err)
	}
	return done, nil
}

func get(ctx context.Context, c *http.Client, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://node"+path, nil)
	if err != nil {
		return nil, err
	}
	return do(c, req)
}

// trailed is what went wrong with a stream after it had begun. The body was read
// to its end.
func trailed(resp *http.Response) error {
	if s := resp.Trailer.Get(api.HeaderProblem); s != "" {
		return parseProblem(http.StatusInternalServerError, []byte(s))
	}
	return nil
}
