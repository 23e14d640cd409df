// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/node/api"
)

// A node whose record has alarms: the command lists them, printable, and exits with
// 1; doctor tells of those of the last day.
func TestAlarmsAreTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	old := api.Alarm{Kind: "budget", At: now.Add(-48 * time.Hour), Text: "rows went"}
	alarms := []api.Alarm{old, {Kind: "identity", At: now.Add(-time.Minute), Text: "5 seen, 3 recorded\x1b[2J"}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/audit/alarms" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(alarms)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	run := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := Main(t.Context(), append([]string{"--socket", socket}, args...), nil, &out, &errs)
		return code, out.String(), errs.String()
	}

	code, out, errs := run("audit", "alarms")
	if code != exitFailed || strings.Count(out, "\n") != 3 || !strings.Contains(out, "5 seen, 3 recorded") || strings.Contains(out, "\x1b") ||
		!strings.Contains(errs, "record: 2") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, out, _ = run("audit", "alarms", "--since", "24h"); code != exitFailed || strings.Contains(out, "budget") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if _, out, _ = run("doctor"); !strings.Contains(out, "ALARM") || !strings.Contains(out, "alarms in 24h0m0s: 1,") || strings.Contains(out, "\x1b") {
		t.Errorf("doctor:\n%s", out)
	}
	alarms = []api.Alarm{old}
	if code, _, errs = run("audit", "alarms", "--since", "24h"); code != exitOK || !strings.Contains(errs, "no alarms") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if _, out, _ = run("doctor"); !strings.Contains(out, "no alarm in 24h0m0s") {
		t.Errorf("doctor:\n%s", out)
	}
}
