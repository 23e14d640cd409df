// SPDX-License-Identifier: Apache-2.0

package api

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

	"github.com/danielgtaylor/huma/v2"
)

// Exports are records and packets in bulk. They stream, for longer than a call
// may take.
type Exports interface {
	// Rows yields every recorded row of the caller's slice of that label that
	// overlaps a term. After an error nothing follows.
	Rows(ctx context.Context, by Caller, slice string, from, until time.Time) iter.Seq2[Flow, error]
	// AllRows are those of every slice; the unix socket alone serves it.
	AllRows(ctx context.Context, from, until time.Time) iter.Seq2[Flow, error]
	// Capture writes the packets of a sliver of the caller's to w as pcapng.
	Capture(ctx context.Context, by Caller, sliver string, req CaptureRequest, w io.Writer) (Captured, error)
}

// CaptureRequest bounds a capture; a zero is the node's default.
type CaptureRequest struct {
	For     time.Duration
	Packets uint64
	Bytes   uint64 // of the file
	Snap    int    // bytes kept of each packet
	Filter  string
}

// Captured is how a capture ended.
type Captured struct {
	Ended    string    `json:"ended" enum:"time,packets,bytes,sliver"`
	Packets  uint64    `json:"packets" doc:"in the file"`
	Bytes    uint64    `json:"bytes" doc:"of the file"`
	Received uint64    `json:"received" doc:"packets that the filter took"`
	Lost     uint64    `json:"lost" doc:"of these, packets that the node was too slow to read"`
	Began    time.Time `json:"began"`
	Over     time.Time `json:"over"`
	// What the guard dropped meanwhile, by reason: that from the sliver is in the
	// file, as far as the filter took it, that towards it is not.
	GuardOut map[string]uint64 `json:"guard_out,omitempty"`
	GuardIn  map[string]uint64 `json:"guard_in,omitempty"`
}

const (
	// HeaderCaptured is a trailer: a Captured in JSON.
	HeaderCaptured = "Croft-Captured"
	// HeaderProblem is a trailer: the problem document of what broke a stream off.
	HeaderProblem = "Croft-Problem"

	// rowBuffer is how many bytes of rows are sent at once.
	rowBuffer = 32 << 10
)

func exportLocal(api huma.API, mux *http.ServeMux, x Exports) {
	raw(api, mux, rows(func(r *http.Request, from, until time.Time) iter.Seq2[Flow, error] {
		return x.AllRows(r.Context(), from, until)
	}), huma.Operation{Method: "GET", Path: "/v1/audit/rows", OperationID: "all-rows",
		Summary: "Every recorded flow of every slice, one in a line", Parameters: []*huma.Param{
			inQuery("from", "RFC 3339; none: from the first"), inQuery("until", "RFC 3339; none: until now")}},
		http.StatusOK, mediaRows)
}

func exportRemote(api huma.API, mux *http.ServeMux, x Exports) {
	raw(api, mux, rows(func(r *http.Request, from, until time.Time) iter.Seq2[Flow, error] {
		return x.Rows(r.Context(), caller(r.Context()), r.URL.Query().Get("slice"), from, until)
	}), huma.Operation{Method: "GET", Path: "/v1/audit/rows", OperationID: "rows",
		Summary: "Every recorded flow of the caller's slice, one in a line", Parameters: []*huma.Param{
			inQuery("slice", "label"), inQuery("from", "RFC 3339; none: from the first"), inQuery("until", "RFC 3339; none: until now")}},
		http.StatusOK, mediaRows)
	raw(api, mux, capture(x), huma.Operation{Method: "GET", Path: "/v1/slivers/{sliver}/capture", OperationID: "capture",
		Summary: "A sliver's packets as pcapng, as they come", Parameters: []*huma.Param{
			inPath("sliver", "name"), inQuery("for", "such as 10s"), inQuery("packets", "at most"), inQuery("bytes", "at most, of the file"),
			inQuery("snap", "bytes kept of each packet"), inQuery("filter", "such as host 192.0.2.1 and port 53")}},
		http.StatusOK, mediaCapture)
}

const (
	mediaRows    = "application/x-ndjson"
	mediaCapture = "application/x-pcapng"
)

// stream is an answer without a known end. What goes wrong before its first
// byte is a problem; afterwards, a trailer.
func stream(w http.ResponseWriter, media string) (*flushWriter, error) {
	if err := wait(w, time.Time{}, time.Time{}); err != nil {
		return nil, err
	}
	return &flushWriter{w: w, started: func() { w.Header().Set("Content-Type", media) }}, nil
}

// streaming serves what is sent for a question that is read from the query.
func streaming[Q any](media string, read func(url.Values) (Q, error), send func(*http.Request, Q, *flushWriter) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := read(r.URL.Query())
		if err != nil {
			Fail(w, err)
			return
		}
		out, err := stream(w, media)
		if err != nil {
			Fail(w, err)
			return
		}
		if err := send(r, q, out); err != nil {
			out.broke(err)
		}
	})
}

// broke says what went wrong with a stream.
func (f *flushWriter) broke(err error) {
	if !f.wrote {
		Fail(f.w, err)
		return
	}
	f.w.Header().Set(http.TrailerPrefix+HeaderProblem, string(problemDocument(err)))
}

// between are the instants of a question about what happened.
type between struct{ from, until time.Time }

func rows(list func(*http.Request, time.Time, time.Time) iter.Seq2[Flow, error]) http.Handler {
	return streaming(mediaRows, func(q url.Values) (b between, err error) {
		if b.from, err = queryTime(q, "from", time.Unix(0, 0)); err == nil {
			b.until, err = queryTime(q, "until", time.Time{})
		}
		return b, err
	}, func(r *http.Request, b between, out *flushWriter) error {
		buf := bufio.NewWriterSize(out, rowBuffer)
		enc := json.NewEncoder(buf)
		for f, err := range list(r, b.from, b.until) {
			if err != nil {
				if out.wrote {
					_ = buf.Flush() // the trailer says that it is not all
				}
				return err
			}
			if enc.Encode(f) != nil { // the caller is gone
				return nil
			}
		}
		if buf.Buffered() == 0 && !out.wrote {
			out.started()
		}
		_ = buf.Flush()
		return nil
	})
}

func capture(x Exports) http.Handler {
	return streaming(mediaCapture, captureRequest, func(r *http.Request, req CaptureRequest, out *flushWriter) error {
		done, err := x.Capture(r.Context(), caller(r.Context()), r.PathValue("sliver"), req, out)
		if err != nil {
			return err
		}
		if b, err := json.Marshal(done); err == nil {
			out.w.Header().Set(http.TrailerPrefix+HeaderCaptured, string(b))
		}
		return nil
	})
}

func captureRequest(q url.Values) (req CaptureRequest, err error) {
	bad := func(name, want string) error { return fmt.Errorf("%w: %s wants %s", ErrBadRequest, name, want) }
	if s := q.Get("for"); s != "" {
		if req.For, err = time.ParseDuration(s); err != nil || req.For <= 0 {
			return req, bad("for", "a time such as 10s")
		}
	}
	for name, into := range map[string]*uint64{"packets": &req.Packets, "bytes": &req.Bytes} {
		if s := q.Get(name); s != "" {
			if *into, err = strconv.ParseUint(s, 10, 63); err != nil {
				return req, bad(name, "a number")
			}
		}
	}
	if s := q.Get("snap"); s != "" {
		if req.Snap, err = strconv.Atoi(s); err != nil || req.Snap < 0 {
			return req, bad("snap", "a number of bytes")
		}
	}
	req.Filter = q.Get("filter")
	return req, nil
}

func queryTime(q url.Values, name string, none time.Time) (time.Time, error) {
	s := q.Get(name)
	if s == "" {
		return none, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%w: %s wants a time in RFC 3339", ErrBadRequest, name)
	}
	return t, nil
}
