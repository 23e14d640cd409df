// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	simreport "croft/sim/report"
)

// patient is done once it has been asked so often: an interruption in the middle of
// a run, at the same place each time.
type patient struct {
	context.Context
	left int
}

func (p *patient) Err() error {
	if p.left--; p.left < 0 {
		return context.Canceled
	}
	return nil
}

// Ctrl-C in the middle: what there was until then is reported, and marked.
func TestSimInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"sim", "run", "safety", "safety", "--html", "part.html"}, {"--json", "sim", "run", "safety"}} {
		var out, errs bytes.Buffer
		code := Main(&patient{context.Background(), 5}, args, nil, &out, &errs)
		if code != exitFailed || !strings.Contains(errs.String(), "interrupted") {
			t.Errorf("%v: exit code %d\n%s", args, code, &errs)
		}
		if args[0] == "--json" {
			var r simreport.Report
			if err := json.Unmarshal(out.Bytes(), &r); err != nil || !r.Partial || len(r.Expects) > 0 || r.Virtual <= 0 || r.Virtual >= 4*time.Minute {
				t.Errorf("%v: %s", err, &out)
			}
			continue
		}
		if strings.Count(out.String(), "PARTIAL") != 1 || strings.ContainsAny(out.String(), "✓✗") {
			t.Errorf("one partial run is wanted:\n%s", &out)
		}
		page, err := os.ReadFile("part.html")
		if err != nil || !strings.Contains(string(page), "Partial: it was interrupted at") {
			t.Errorf("%v: the page does not say so", err)
		}
	}
	if left, err := filepath.Glob("*.replay"); err != nil || len(left) > 0 {
		t.Errorf("a part of a run cannot be replayed: %v %v", left, err)
	}
}

func TestProgressText(t *testing.T) {
	at := simreport.Progress{Now: 90 * time.Second, End: 6 * time.Minute, Events: 200_000, Up: 340}
	want := "[██████░░░░░░░░░░░░░░░░░░]  25%  1m30s of 6m  340 nodes  100,000 events/s  6s left"
	if got := progressText(at, 2*time.Second); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	at = simreport.Progress{End: time.Minute}
	if got := progressText(at, 0); strings.Contains(got, "left") || strings.Contains(got, "/s") {
		t.Errorf("before anything is known: %q", got)
	}
}
