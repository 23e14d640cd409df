// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{0, "s", "0 s"}, {0.0000123, "s", "12.3 µs"}, {0.0999, "s", "99.9 ms"}, {0.9999, "s", "1 s"}, {61.5, "s", "61.5 s"}, {600, "s", "10 min"}, {86400, "s", "24 h"},
		{0.95725, "share", "95.7 %"}, {1, "share", "100 %"},
		{999, "B", "999 B"}, {12_345, "B/s", "12.3 kB/s"}, {5e12, "B", "5,000 GB"},
		{7.3104, "", "7.31"}, {1234567, "", "1,234,567"}, {-1234, "", "-1,234"}, {12, "degree", "12 degree"},
	} {
		if got := Text(c.v, c.unit); got != c.want {
			t.Errorf("%v %s is %q, want %q", c.v, c.unit, got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{1_234_567: "1ms", 7_256 * time.Millisecond: "7.26s", 4 * time.Minute: "4m", 330 * time.Second: "5m30s", 2 * time.Hour: "2h"} {
		if got := Span(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	const good = `{"world":"world","virtual_ns":1000}`
	if list, err := Read(strings.NewReader(good + "\n" + good)); err != nil || len(list) != 2 {
		t.Errorf("%d reports, %v", len(list), err)
	}
	for _, bad := range []string{`{}`, good + `{"world":"x"}`, `{"world":"w","virtual_ns":1,"measures":[{"figure":"x"}]}`,
		`{"world":"w","virtual_ns":1,"measures":[{"figure":"x","distribution":{"classes":[]}}]}`, `{"world":"w","virtual_ns":1,"courses":[{"group":"x"}]}`} {
		if list, err := Read(strings.NewReader(bad)); !errors.Is(err, ErrNoReport) || list != nil {
			t.Errorf("%s: %d reports, %v", bad, len(list), err)
		}
	}
	for _, bad := range []string{"", "nodes 10", good + "x"} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
