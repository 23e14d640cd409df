// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/node/agent"
	"croft/node/api"
	"croft/node/slice"
)

// The line that `croft when` suggests asks for what was asked about, and for what
// is free now does not name an instant that is past when it is typed.
func TestReserveLine(t *testing.T) {
	f := runFlags{nodes: 2, where: "city!='Boston'", rset: "cpu=200", pool: "own", alone: true, term: 90 * time.Minute}
	want := `croft reserve -n 2 --for 1h30m --where 'city!='\''Boston'\''' --rset 'cpu=200' --pool own --exclusive`
	if got := f.reserveLine(time.Now().Unix() - 1); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	plain := runFlags{nodes: 1, pool: string(lease.PoolCalendar), term: time.Hour}
	if got := plain.reserveLine(time.Now().Add(time.Hour).Unix()); !strings.HasPrefix(got, "croft reserve -n 1 --at '2") || !strings.HasSuffix(got, "' --for 1h") {
		t.Error(got)
	}
}

// Nodes that have no room for one reason are named in one line.
func TestWhyNot(t *testing.T) {
	full, long := &api.Refusal{Code: "local:capacity", Text: "cpu: 0 of 4 are free"}, &api.Refusal{Code: "local:policy", Text: "at most 3600 s"}
	var free []slice.Vacant
	no := []*api.Refusal{full, nil, long}
	for i := range 12 {
		free = append(free, slice.Vacant{Name: string(rune('a' + i))})
		if i > 2 {
			no = append(no, full)
		}
	}
	got := strings.Join(whyNot(free, no), "\n")
	if want := "a d e f g h i j and 2 more: local:capacity: cpu: 0 of 4 are free\nc: local:policy: at most 3600 s"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestShortSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 20 * time.Second: "20s",
		time.Hour + 5*time.Second: "1h0m5s", 168 * time.Hour: "168h", 0: "0s"} {
		if got := short(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestTheAccountIsRounded(t *testing.T) {
	var h agent.Hours
	h[lease.CPU], h[lease.Memory], h[lease.EgressRate], h[lease.Pids] = 66.7, 44739242.7, 333333.3, 5.3
	if got, want := hours(h), "cpu=67 memory=43MiB pids=5 egress.rate=333kbit h"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
