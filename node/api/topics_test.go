// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"croft/lease/leasetest"
)

// Messages stream as lines; what breaks the stream off is a problem before the
// first byte and a trailer after.
func TestATopicIsHeardAsLines(t *testing.T) {
	s := httptest.NewServer(Local(new(fake).node(), "test"))
	defer s.Close()
	ask := func(path string) (*http.Response, []Heard) {
		t.Helper()
		resp, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var lines []Heard
		for dec := json.NewDecoder(resp.Body); resp.StatusCode == 200; {
			var m Heard
			if dec.Decode(&m) != nil {
				break
			}
			lines = append(lines, m)
		}
		return resp, lines
	}
	alice := leasetest.Who("alice")
	resp, lines := ask("/v1/topics/" + alice.String() + "/web/status")
	if len(lines) != 1 || lines[0].Author != alice || string(lines[0].Data) != "web" || !strings.Contains(resp.Trailer.Get(HeaderProblem), "stopping") {
		t.Errorf("heard %+v, then %q", lines, resp.Trailer.Get(HeaderProblem))
	}
	for path, want := range map[string]int{"/web/refused": 501, "/Web/status": 400, "/web/st_tus": 400} {
		if resp, _ := ask("/v1/topics/" + alice.String() + path); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	if resp, _ := ask("/v1/topics/alice/web/status"); resp.StatusCode != 400 {
		t.Errorf("no principal: %d", resp.StatusCode)
	}
}
