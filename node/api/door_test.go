// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/leasetest"
)

// fakeShim is the door of alice's sliver.
type fakeShim struct{ *fake }

func (fakeShim) Publish(_ context.Context, name topic.Name, data []byte) (Said, error) {
	switch {
	case name.Topic == "closed":
		return Said{}, ErrNotGranted
	case name.Owner.IsZero() && name.Slice == "":
		return Said{Here: len(data)}, nil
	}
	return Said{Neighbours: len(data)}, nil
}

func (fakeShim) OwnLeases(context.Context) iter.Seq2[OwnLease, error] {
	return func(yield func(OwnLease, error) bool) {
		_ = yield(OwnLease{Until: 1}, nil) && yield(OwnLease{Until: 2}, nil) && yield(OwnLease{}, ErrStopping)
	}
}

func (fakeShim) Counted(context.Context) (Figures, error) { return Figures{OutRate: 7}, nil }
func (fakeShim) Paths(context.Context) ([]Path, error)    { return []Path{{Way: "direct"}}, nil }
func (fakeShim) Path(_ context.Context, node lease.Principal) (Path, error) {
	return Path{Node: node, Way: "none"}, nil
}

func TestADoorAnswers(t *testing.T) {
	h := Door(fakeShim{new(fake)}, "test")
	alice := leasetest.Who("alice").String()
	for _, c := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"POST", "/v1/topics/load", "abc", 200, `"here":3`},
		{"POST", "/v1/topics/load", "", 200, `"here":0`},
		{"POST", "/v1/topics/" + alice + "/web/load", "abcd", 200, `"neighbours":4`},
		{"POST", "/v1/topics/load", strings.Repeat("x", topic.MaxData), 200, `"here":16384`},
		{"POST", "/v1/topics/load", strings.Repeat("x", topic.MaxData+1), 400, "more than 16384 bytes"},
		{"POST", "/v1/topics/closed", "abc", 403, "does not let you"},
		{"POST", "/v1/topics/Load", "abc", 400, "bad request"},
		{"POST", "/v1/topics/alice/web/load", "abc", 400, "bad request"},
		{"POST", "/v1/topics/" + alice + "/We+b/load", "abc", 400, "bad request"},
		{"POST", "/v1/topics", `{"message":"AAEC"}`, 200, `"neighbours":2`},
		{"GET", "/v1/topics/Load", "", 400, "bad request"},
		{"GET", "/v1/lease/events", "", 200, "\"until\":1,"},
		{"GET", "/v1/traffic", "", 200, `"out_rate":7`},
		{"GET", "/v1/paths", "", 200, `"way":"direct"`},
		{"GET", "/v1/paths/" + alice, "", 200, alice},
		{"GET", "/v1/paths/alice", "", 422, "principal"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if c.method == "POST" && c.path == "/v1/topics" {
			w = httptest.NewRecorder()
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			h.ServeHTTP(w, r)
		}
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) {
			t.Errorf("%s %.60s %.20q: %d %.300s", c.method, c.path, c.body, w.Code, w.Body)
		}
		if p := w.Header().Get(http.TrailerPrefix + HeaderProblem); strings.HasSuffix(c.path, "events") && !strings.Contains(p, "stopping") {
			t.Errorf("it breaks off with %q", p)
		}
	}
}
