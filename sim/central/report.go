// SPDX-License-Identifier: Apache-2.0

package central

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Report is what came of a run, of the time in which queries were asked.
type Report struct {
	Asked, Answered, Failed uint64
	GivenUp                 uint64 // requests to a server that was silent
	Matched                 uint64 // offers in answers

	Latency Times // from the question to the answer, of those answered
	Wait    Times // of queries for the server's core
	Age     Times // of the offers in answers, since their nodes made them

	Load     []float64 // of each server: the share of the time that its core worked
	In, Out  []float64 // of each server: bytes a second
	NodeSent float64   // bytes a second that a node sent, on average
}

// Times is a distribution, in ascending order.
type Times []time.Duration

// At returns the least time that a share of all is at or below; 0 of none.
func (t Times) At(share float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[min(max(int(math.Ceil(share*float64(len(t))))-1, 0), len(t)-1)]
}

// Success is the share of the queries that were answered.
func (r *Report) Success() float64 { return float64(r.Answered) / math.Max(float64(r.Asked), 1) }

// String is one line of a table.
func (r *Report) String() string {
	var loads, bytes []string
	for i := range r.Load {
		loads = append(loads, fmt.Sprintf("%.2f%%", 100*r.Load[i]))
		bytes = append(bytes, fmt.Sprintf("%.1f/%.1f", r.In[i]/1e3, r.Out[i]/1e3))
	}
	return fmt.Sprintf("asked %d, answered %.1f%%, p50 %d ms, p95 %d ms, load %s, in/out %s kB/s, a node %.0f B/s",
		r.Asked, 100*r.Success(), r.Latency.At(.5).Milliseconds(), r.Latency.At(.95).Milliseconds(),
		strings.Join(loads, " "), strings.Join(bytes, " "), r.NodeSent)
}

func (r *run) finish() *Report {
	out := &r.report
	for _, t := range []Times{out.Latency, out.Wait, out.Age} {
		slices.Sort(t)
	}
	for _, s := range r.servers {
		out.Load = append(out.Load, s.busy.Seconds()/r.For.Seconds())
		out.In = append(out.In, float64(s.in)/r.For.Seconds())
		out.Out = append(out.Out, float64(s.out)/r.For.Seconds())
	}
	out.NodeSent = float64(r.sent) / float64(r.Nodes) / r.For.Seconds()
	return out
}
