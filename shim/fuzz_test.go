// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"net/http"
	"path"
	"strings"
	"testing"
)

// Whatever a topic is called, it leads to a topic's route or nowhere.
func FuzzTopicPath(f *testing.F) {
	for _, s := range []string{"load", "pulse@abc/load", "a@b@c/d", "../self", "a@../b", "lease@../events", "..", "a b", "x\r\ny"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		route, err := topicPath(s)
		if err != nil {
			return
		}
		r, err := http.NewRequest("GET", "http://node"+route, nil)
		if err != nil {
			return // the library says so
		}
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path { // the server would lead it there
			t.Errorf("%q leads to %q", s, clean)
		}
		if n := strings.Count(r.URL.Path, "/"); !strings.HasPrefix(r.URL.Path, "/v1/topics/") || n != 3 && n != 5 || r.URL.RawQuery != "" || r.URL.Fragment != "" {
			t.Errorf("%q leads to %q", s, r.URL)
		}
	})
}
