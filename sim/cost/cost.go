// SPDX-License-Identifier: Apache-2.0

// Package cost measures what a run takes of the machine: real time, processor time and
// memory of the process that plays it. None of it is told to the run.
//
//	meter := cost.Begin()
//	… // the run
//	meter.Spent().Figures(recorder, nodes, virtual)
//
// Clocks are asked of the system, as time.Now is virtual in some worlds. It keeps
// nothing and may be called from anywhere.
package cost

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"croft/sim/report"
)

// Meter is a run under way.
type Meter struct{ wall, cpu time.Duration }

// Begin begins to measure. The most memory counts from here on, with what the process
// has by now.
func Begin() Meter {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // where that is refused, the most of the whole process counts
	return now()
}

func now() Meter {
	var wall, cpu unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &wall) // every Linux has both
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &cpu)
	return Meter{time.Duration(wall.Nano()), time.Duration(cpu.Nano())}
}

// Spent is what a run took.
type Spent struct {
	Wall, CPU time.Duration // real time; processor time, of all cores
	Peak      int64         // bytes that the process had at most
}

// Spent returns what it was since Begin.
func (m Meter) Spent() Spent {
	n := now()
	return Spent{n.wall - m.wall, n.cpu - m.cpu, Peak()}
}

// Figures enters it as cpu, wall and memory of a run of so many nodes and so long.
func (s Spent) Figures(r *report.Recorder, nodes int, virtual time.Duration) {
	r.Set("cpu", "", "share", s.CPU.Seconds()/float64(max(nodes, 1))/max(virtual.Seconds(), 1e-3))
	r.Set("wall", "", "time", s.Wall.Seconds())
	r.Set("memory", "", "max", float64(s.Peak)/1e6)
}

// Peak is the most memory that this process had, in bytes.
func Peak() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}
