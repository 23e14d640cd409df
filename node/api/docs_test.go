// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tables of docs/protocol/api.md name the routes that are served, no more
// and no less.
func TestRoutesAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/protocol/api.md")
	if err != nil {
		t.Fatal(err)
	}
	local, remote, ok := strings.Cut(string(b), "\n## Remote\n")
	if !ok {
		t.Fatal("no part about remote routes")
	}
	for _, c := range []struct {
		name    string
		handler http.Handler
		text    string
		bytes   []string
	}{
		{"local", Local(Node{}, "test"), local, []string{"GET /v1/nodes/{node}/pipe"}},
		{"remote", Remote(Node{}, "test"), remote, []string{"GET /v1/slivers/{sliver}/logs", "GET /v1/slivers/{sliver}/exec",
			"GET /v1/blobs/{digest}", "PATCH /v1/blobs/{digest}"}},
	} {
		served := described(t, c.handler)
		var documented []string
		for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /v1/[^`?]*)").FindAllStringSubmatch(c.text, -1) {
			documented = append(documented, m[1])
		}
		slices.Sort(served)
		served = slices.Compact(served)
		slices.Sort(documented)
		if !slices.Equal(served, documented) {
			t.Errorf("%s: served %q\ndocumented %q", c.name, served, documented)
		}
		for _, route := range c.bytes {
			method, path, _ := strings.Cut(route, " ")
			w := httptest.NewRecorder()
			c.handler.ServeHTTP(w, httptest.NewRequest(method, strings.NewReplacer("{", "", "}", "").Replace(path)+"?tail=x", nil))
			if w.Code == http.StatusNotFound || w.Code == http.StatusMethodNotAllowed {
				t.Errorf("%s: %s is not served: %d", c.name, route, w.Code)
			}
		}
	}
}

// So does the table of docs/shim.md, of what slivers ask.
func TestDoorsRoutesAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/shim.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(GET|POST) (/v1/[^`?]*)").FindAllStringSubmatch(string(b), -1) {
		if m[2] != "/v1/openapi.json" {
			documented = append(documented, m[1]+" "+m[2])
		}
	}
	served := described(t, Door(fakeShim{new(fake)}, "test"))
	slices.Sort(documented)
	slices.Sort(served)
	if !slices.Equal(served, documented) {
		t.Errorf("served %q\ndocumented %q", served, documented)
	}
}

// described returns the routes of a handler's own OpenAPI document.
func described(t *testing.T, h http.Handler) (routes []string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/openapi.json", nil))
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || len(doc.Paths) == 0 {
		t.Fatalf("OpenAPI document %.100q: %v", w.Body, err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			routes = append(routes, strings.ToUpper(method)+" "+path)
		}
	}
	return routes
}
