// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"croft/lease/offer"
)

// What matches is what docs/roles/discovery.md says: the node and the finder of the
// examples, in another language, read it alike.
func TestWhatMatches(t *testing.T) {
	raw, err := os.ReadFile("testdata/match.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Query string
		Offer json.RawMessage
		Holds bool
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	type pair struct {
		Constraint findConstraint  `json:"constraint"`
		Offer      json.RawMessage `json:"offer"`
	}
	var pairs []pair
	for _, c := range cases {
		req := offer.FindRequest{Query: c.Query}
		q, err := req.Parse()
		if err != nil {
			t.Fatalf("%s: %v", c.Query, err)
		}
		var o offer.Offer
		if err := json.Unmarshal(c.Offer, &o); err != nil {
			t.Fatalf("%s: %v", c.Offer, err)
		}
		if got := q.Constraints[0].Holds(&o, offer.Measured{}); got != c.Holds {
			t.Errorf("%s of %s: %v", c.Query, c.Offer, got)
		}
		pairs = append(pairs, pair{findAskOf(req, q).Constraints[0], c.Offer})
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3 for the other half")
	}
	in, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	const script = "import sys, json, finder\nprint(json.dumps([finder.holds(p['constraint'], p['offer']) for p in json.load(sys.stdin)]))"
	cmd := exec.Command(python, "-B", "-c", script)
	cmd.Env = append(os.Environ(), "PYTHONPATH=../../examples/finder", "PYTHONUTF8=1")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []bool
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(cases) {
		t.Fatalf("%s, %v", out, err)
	}
	for i, c := range cases {
		if got[i] != c.Holds {
			t.Errorf("the finder on %s of %s: %v", c.Query, c.Offer, got[i])
		}
	}
}
