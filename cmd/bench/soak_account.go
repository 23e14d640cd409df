// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
)

// accounts add up what the node wrote down of its epochs.
type accounts struct {
	Epochs, Breaches       int // breaches: epochs that do not balance or are missing
	Rows, MostRows         uint64
	Seen, Recorded         uint64
	Unrecorded, NoSliver   uint64
	Dropped                [ebpf.NumReasons]uint64
	Bytes                  int64          // in open segments
	Alarms                 map[string]int // other than breaches, by kind
	Faults                 []string       // the first few breaches and errors
	Apart, Drain, LongestD time.Duration  // longest time between two epochs; of drains, the last and the longest
	at                     time.Time
	drains                 int
	allDrains              time.Duration
}

func (a *accounts) take(epochs []store.Accounted, alarms []audit.Alarm, err error) {
	for _, e := range epochs {
		a.Epochs++
		a.Rows += e.Rows
		a.MostRows = max(a.MostRows, e.Rows)
		a.Seen += e.Seen
		a.Recorded += e.Recorded
		a.Unrecorded += e.Unrecorded
		a.NoSliver += e.NoSliver
		for r, n := range e.Dropped {
			a.Dropped[r] += n
		}
		a.Bytes += e.Bytes
		now := time.Unix(0, e.At)
		if !a.at.IsZero() {
			a.Apart = max(a.Apart, now.Sub(a.at))
		}
		a.at = now
		// From the epoch's last packet, at which no later one was let into its table,
		// until its rows were durable. They were read from the kernel in between.
		if !e.Kept.IsZero() && !e.Newest.IsZero() && e.Rows > 0 {
			a.Drain = e.Kept.Sub(e.Newest)
			a.LongestD = max(a.LongestD, a.Drain)
			a.drains++
			a.allDrains += a.Drain
		}
	}
	for _, al := range alarms {
		if al.Kind == audit.AlarmIdentity || al.Kind == audit.AlarmGap {
			a.Breaches++
			a.fault(al.String())
			continue
		}
		if a.Alarms == nil {
			a.Alarms = map[string]int{}
		}
		a.Alarms[al.Kind.String()]++
	}
	if err != nil {
		a.Breaches++
		a.fault(err.Error())
	}
}

func (a *accounts) fault(text string) {
	if len(a.Faults) < 10 {
		a.Faults = append(a.Faults, text)
	}
}

func (a *accounts) copy() accounts {
	c := *a
	c.Alarms, c.Faults = maps.Clone(a.Alarms), append([]string(nil), a.Faults...)
	return c
}

// since is what came after before; what is a highest stays the whole soak's.
func (a accounts) since(before accounts) accounts {
	a.Epochs -= before.Epochs
	a.Breaches -= before.Breaches
	a.Rows -= before.Rows
	a.Seen -= before.Seen
	a.Recorded -= before.Recorded
	a.Unrecorded -= before.Unrecorded
	a.NoSliver -= before.NoSliver
	for r := range a.Dropped {
		a.Dropped[r] -= before.Dropped[r]
	}
	a.Bytes -= before.Bytes
	a.drains -= before.drains
	a.allDrains -= before.allDrains
	return a
}

func (a accounts) dropped() (n uint64) {
	for _, d := range a.Dropped {
		n += d
	}
	return n
}

// reasons lists drops by reason.
func (a accounts) reasons() (text string) {
	for r, n := range a.Dropped {
		if n > 0 {
			text += fmt.Sprintf(" %s=%d", ebpf.Reason(r), n)
		}
	}
	return text
}
