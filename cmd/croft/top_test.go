// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"croft/lease/leasetest"
	"croft/node/api"
)

// figure is a sliver as a node counts it at a second.
func figure(second int, sliver string, out, in uint64) api.Figures {
	return api.Figures{
		Node: leasetest.Who("node"), Name: "uni-a/n1", Slice: "probe", Owner: leasetest.Who("alice"), Sliver: sliver,
		At:      time.Unix(1_800_000_000+int64(second), 0),
		Out:     api.Way{SeenPackets: out / 1000, PassedPackets: out / 1000, PassedBytes: out, Dropped: map[string]uint64{"bytes": out / 100_000}},
		In:      api.Way{SeenPackets: in / 1000, PassedPackets: in / 1000, PassedBytes: in},
		OutRate: 5e6, InRate: 5e6, Daily: 1e9, DailyLeft: 1e9 - out,
		Flows: api.LiveFlows{Limit: 1000, Out: 12, In: 3, RefusedOut: out / 500_000}, Refused: in / 500_000,
	}
}

func TestTopShowsRates(t *testing.T) {
	rows := topRows([]api.Figures{figure(0, "bbbbbbbb", 0, 0), figure(0, "aaaaaaaa", 1e6, 2e6)},
		[]api.Figures{figure(2, "bbbbbbbb", 0, 0), figure(2, "aaaaaaaa", 2e6, 3e6), figure(2, "cccccccc", 5e6, 0)})
	var table bytes.Buffer
	if err := topTable(&table, rows, []outcome{{"uni-a/n2", errors.New("gone")}}); err != nil {
		t.Fatal(err)
	}
	want := `SLICE  NODE      SLIVER  OUT    OF     IN     OF     PKT/S    FLOWS  OF    DAY LEFT  DELAY  DROPPED
probe  uni-a/n1  aaaaaa  4mbit  5mbit  4mbit  5mbit  500/500  12/3   1000  998 MB    -      out bytes 10, out live 2, refused 2
probe  uni-a/n1  bbbbbb  0bit   5mbit  0bit   5mbit  0/0      12/3   1000  1 GB      -      0
probe  uni-a/n1  cccccc  0bit   5mbit  0bit   5mbit  0/0      12/3   1000  995 MB    -      0
uni-a/n2: gone
`
	if table.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &table, want)
	}
	if again := change(figure(0, "a", 2e6, 0), figure(2, "a", 1e6, 0)); again.Seconds != 0 || again.OutBits != 0 {
		t.Errorf("counts that began anew are a rate of %+v", again)
	}
}

// Each table is of the interval before it; -n ends it, and so does who asked.
func TestTopLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, looks := time.Now(), 0
		look := func(context.Context) ([]api.Figures, []outcome, error) {
			looks++
			return []api.Figures{figure(looks, "aaaaaaaa", uint64(looks)*1e6, 0)}, nil, nil
		}
		var shown []float64
		show := func(rows []topRow, _ []outcome) error {
			shown = append(shown, rows[0].Rates.OutBits)
			return nil
		}
		if err := top(t.Context(), look, time.Second, 3, show); err != nil {
			t.Fatal(err)
		}
		if looks != 4 || len(shown) != 3 || shown[0] != 8e6 || time.Since(begun) != 3*time.Second {
			t.Errorf("%d looks, shown %v after %s", looks, shown, time.Since(begun))
		}

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		if err := top(ctx, look, time.Second, 0, show); err != nil || len(shown) != 4 {
			t.Errorf("%v, %d tables", err, len(shown))
		}
		refused := errors.New("refused")
		if err := top(t.Context(), func(context.Context) ([]api.Figures, []outcome, error) { return nil, nil, refused }, time.Second, 0, show); !errors.Is(err, refused) {
			t.Errorf("%v, want %v", err, refused)
		}
	})
}

// A frame is as large as the terminal at the most, and is drawn from its corner.
func TestTopFitsTheTerminal(t *testing.T) {
	var list []api.Figures
	for i := range 40 {
		list = append(list, figure(0, strings.Repeat(string(rune('a'+i%26)), 8), uint64(i), 0))
	}
	var out bytes.Buffer
	c := &canvas{to: &out, size: func() (int, int) { return 40, 10 }, interval: time.Second}
	c.begin()
	out.Reset()
	if err := c.draw(topRows(nil, list), nil); err != nil {
		t.Fatal(err)
	}
	frame := out.String()
	lines := strings.Split(frame, "\r\n")
	if !strings.HasPrefix(frame, topLeft) || !strings.HasSuffix(frame, clearBelow) || len(lines) != 10 || !strings.Contains(lines[9], "more lines") {
		t.Fatalf("%d lines: %q", len(lines), frame)
	}
	for _, line := range lines {
		line = strings.NewReplacer(topLeft, "", clearLine, "", clearBelow, "").Replace(line)
		if n := len([]rune(line)); n > 40 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	out.Reset()
	c.end()
	if out.String() != firstScreen {
		t.Errorf("it ends with %q", &out)
	}
}

func TestTopPrintsJSON(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out, err: &out, json: true}
	if err := a.topJSON(topRows([]api.Figures{figure(0, "aaaaaaaa", 0, 0)}, []api.Figures{figure(1, "aaaaaaaa", 1e6, 0)}), nil); err != nil {
		t.Fatal(err)
	}
	var row struct {
		Sliver string `json:"sliver"`
		Rates  rates  `json:"rates"`
	}
	if err := json.Unmarshal(out.Bytes(), &row); err != nil || row.Sliver != "aaaaaaaa" || row.Rates.OutBits != 8e6 || row.Rates.Dropped["out bytes"] != 10 {
		t.Errorf("%v: %s", err, &out)
	}
}
