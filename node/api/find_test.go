// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestFindStreams(t *testing.T) {
	local := serve(t, Local((&fake{}).node(), "test"), "")
	for _, c := range []struct {
		params  string
		status  int
		lines   int
		problem bool // in the trailer
	}{
		{"query=a&limit=3", http.StatusOK, 4, false},
		{"", http.StatusOK, 1, false},
		{"query=broken&limit=2", http.StatusOK, 2, true},
		{"query=broken", http.StatusBadGateway, 0, false},
		{"limit=-1", http.StatusBadRequest, 0, false},
		{"enough=many", http.StatusBadRequest, 0, false},
	} {
		resp, err := http.Get(local.URL + "/v1/find?" + c.params)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: status %d", c.params, resp.StatusCode)
		}
		if c.status != http.StatusOK {
			continue
		}
		var lines []FindLine
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			var l FindLine
			if err := json.Unmarshal(s.Bytes(), &l); err != nil || (l.Found == nil) == (l.Result == nil) {
				t.Fatalf("%s: line %s, %v", c.params, s.Bytes(), err)
			}
			lines = append(lines, l)
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		if len(lines) != c.lines || (resp.Trailer.Get(HeaderProblem) != "") != c.problem {
			t.Errorf("%s: %d lines, trailer %q", c.params, len(lines), resp.Trailer.Get(HeaderProblem))
		}
		for i, l := range lines {
			if last := i == len(lines)-1 && !c.problem; last != (l.Result != nil) {
				t.Errorf("%s: line %d is %+v", c.params, i, l)
			} else if last && (l.Result.Known != 7 || l.Result.Offers == nil) {
				t.Errorf("%s: result %+v", c.params, l.Result)
			} else if !last && !strings.HasPrefix(l.Found.Offer.Name, strings.TrimPrefix(strings.SplitN(c.params, "&", 2)[0], "query=")+"/n") {
				t.Errorf("%s: found %+v", c.params, l.Found)
			}
		}
	}
}
