// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"croft/lease"
)

// What a request shows goes to the handler with it, and with no other.
func TestAnAuthorityGoesWithItsRequest(t *testing.T) {
	s := serve(t, Remote(new(fake).node(), "1"), "bob")
	tell := func(heads ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequest("POST", s.URL+"/v1/slices", strings.NewReader(`{"record":"cmVjb3Jk"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header[HeaderAuthority] = heads
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var got SliceRecord
		if resp.StatusCode == http.StatusOK {
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode, string(got.Record)
	}
	shown := base64.StdEncoding.EncodeToString([]byte("shown "))
	if status, got := tell(shown); status != 200 || got != "shown record" {
		t.Errorf("got %d, %q", status, got)
	}
	if status, got := tell(); status != 200 || got != "record" {
		t.Errorf("the next request without: %d, %q", status, got)
	}
	largest := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, lease.MaxAuthority))
	if status, _ := tell(largest); status != 200 {
		t.Errorf("the largest: %d", status)
	}
	tooMuch := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, lease.MaxAuthority+1))
	for name, heads := range map[string][]string{"no base64": {"!"}, "two": {shown, shown}, "too much": {tooMuch}} {
		if status, _ := tell(heads...); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
}
