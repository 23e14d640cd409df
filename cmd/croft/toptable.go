// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"croft/node/api"
)

// topRow is one sliver, and what changed since the look before.
type topRow struct {
	api.Figures
	Rates rates `json:"rates"`
}

// rates are those of the time between two looks.
type rates struct {
	Seconds    float64           `json:"seconds"` // 0: the sliver was not there before
	OutBits    float64           `json:"out_bits"`
	InBits     float64           `json:"in_bits"`
	OutPackets float64           `json:"out_packets"`
	InPackets  float64           `json:"in_packets"`
	Dropped    map[string]uint64 `json:"dropped,omitempty"` // direction and reason → packets
}

// topRows joins two looks, sorted as people look for a sliver.
func topRows(before, now []api.Figures) []topRow {
	old := map[string]api.Figures{}
	for _, f := range before {
		old[f.Node.String()+f.Sliver] = f
	}
	rows := make([]topRow, 0, len(now))
	for _, f := range now {
		row := topRow{Figures: f}
		if o, ok := old[f.Node.String()+f.Sliver]; ok {
			row.Rates = change(o, f)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b topRow) int {
		return cmp.Or(cmp.Compare(a.Slice, b.Slice), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Sliver, b.Sliver))
	})
	return rows
}

// change is what lies between two looks. Counts that went back are those of
// another guard: a new beginning.
func change(a, b api.Figures) rates {
	r := rates{Seconds: b.At.Sub(a.At).Seconds()}
	if r.Seconds <= 0 || b.Out.SeenPackets < a.Out.SeenPackets || b.In.SeenPackets < a.In.SeenPackets {
		return rates{}
	}
	per := func(b, a uint64) float64 { return float64(b-min(a, b)) / r.Seconds }
	r.OutBits, r.OutPackets = 8*per(b.Out.PassedBytes, a.Out.PassedBytes), per(b.Out.PassedPackets, a.Out.PassedPackets)
	r.InBits, r.InPackets = 8*per(b.In.PassedBytes, a.In.PassedBytes), per(b.In.PassedPackets, a.In.PassedPackets)
	r.Dropped = map[string]uint64{}
	lost := func(what string, b, a uint64) {
		if b > a {
			r.Dropped[what] = b - a
		}
	}
	for way, x := range map[string][2]map[string]uint64{"out": {b.Out.Dropped, a.Out.Dropped}, "in": {b.In.Dropped, a.In.Dropped}} {
		for reason, n := range x[0] {
			lost(way+" "+reason, n, x[1][reason])
		}
	}
	lost("out live", b.Flows.RefusedOut, a.Flows.RefusedOut)
	lost("out ports", b.Flows.NoPort, a.Flows.NoPort)
	lost("in live", b.Flows.RefusedIn, a.Flows.RefusedIn)
	lost("dns refused", b.Names.Refused, a.Names.Refused)
	lost("refused", b.Refused, a.Refused)
	if b.Queues != nil && a.Queues != nil {
		lost("out queue", b.Queues.Out.Dropped, a.Queues.Out.Dropped)
		lost("in queue", b.Queues.In.Dropped, a.Queues.In.Dropped)
	}
	return r
}

func (a *app) topJSON(rows []topRow, bad []outcome) error {
	enc := json.NewEncoder(a.out)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	for _, o := range bad {
		a.say("%s: %s", o.name, plain(o.err))
	}
	return nil
}

// topTable writes one table, and who did not answer.
func topTable(to io.Writer, rows []topRow, bad []outcome) error {
	w := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SLICE\tNODE\tSLIVER\tOUT\tOF\tIN\tOF\tPKT/S\tFLOWS\tOF\tDAY LEFT\tDELAY\tDROPPED")
	for _, r := range rows {
		day, delay := "-", "-"
		if r.Daily > 0 {
			day = octets(r.DailyLeft)
		}
		if q := r.Queues; q != nil && (q.Out.Shaped || q.In.Shaped) {
			delay = fmt.Sprintf("%.3g/%.3g ms", q.Out.Bulk, q.In.Bulk)
		}
		fmt.Fprintf(w, "%s\t%s\t%.6s\t%s\t%s\t%s\t%s\t%.0f/%.0f\t%d/%d\t%d\t%s\t%s\t%s\n", r.Slice, r.Name, r.Sliver,
			bits(r.Rates.OutBits), bits(float64(r.OutRate)), bits(r.Rates.InBits), bits(float64(r.InRate)),
			r.Rates.OutPackets, r.Rates.InPackets, r.Flows.Out, r.Flows.In, r.Flows.Limit, day, delay, lost(r.Rates.Dropped))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, o := range bad {
		if _, err := fmt.Fprintf(to, "%s: %s\n", o.name, plain(o.err)); err != nil {
			return err
		}
	}
	return nil
}

// bits prints a rate as leases write it.
func bits(v float64) string {
	unit := "bit"
	for _, u := range []string{"kbit", "mbit", "gbit"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	return fmt.Sprintf("%.3g%s", v, unit)
}

// lost lists what was dropped, most first.
func lost(dropped map[string]uint64) string {
	reasons := slices.SortedFunc(maps.Keys(dropped), func(a, b string) int {
		return cmp.Or(cmp.Compare(dropped[b], dropped[a]), cmp.Compare(a, b))
	})
	for i, r := range reasons {
		reasons[i] = fmt.Sprintf("%s %d", r, dropped[r])
	}
	if len(reasons) == 0 {
		return "0"
	}
	return strings.Join(reasons, ", ")
}

// canvas draws tables in place on a terminal in raw mode, on a screen of their
// own, so that what was there before comes back.
type canvas struct {
	to       io.Writer
	size     func() (cols, rows int)
	interval time.Duration
}

const (
	otherScreen = "\x1b[?1049h\x1b[?25l" // and no cursor
	firstScreen = "\x1b[?25h\x1b[?1049l"
	topLeft     = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

func (c *canvas) begin() {
	fmt.Fprint(c.to, otherScreen, topLeft, clearBelow, "looking…")
}

func (c *canvas) end() { fmt.Fprint(c.to, firstScreen) }

// draw writes over what is there, in one piece, so that nothing flickers. What
// does not fit is cut off.
func (c *canvas) draw(rows []topRow, bad []outcome) error {
	var table bytes.Buffer
	fmt.Fprintf(&table, "%s   %d slivers, every %s   q ends\n\n", time.Now().Format("15:04:05"), len(rows), c.interval)
	if err := topTable(&table, rows, bad); err != nil {
		return err
	}
	cols, height := c.size()
	lines := strings.Split(strings.TrimRight(table.String(), "\n"), "\n")
	if len(lines) > height {
		more := len(lines) - height + 1
		lines = append(lines[:height-1], fmt.Sprintf("… %d more lines", more))
	}
	var frame strings.Builder
	frame.WriteString(topLeft)
	for i, line := range lines {
		if i > 0 {
			frame.WriteString("\r\n")
		}
		if r := []rune(line); len(r) > cols {
			line = string(r[:cols-1]) + "…"
		}
		frame.WriteString(line + clearLine)
	}
	frame.WriteString(clearBelow)
	_, err := io.WriteString(c.to, frame.String())
	return err
}
