// SPDX-License-Identifier: Apache-2.0

// Package report is what comes of an experiment, in the same words whichever world
// played it: figures with their distributions, what happened over time, what was
// expected, whether promises were kept, and what the world models and leaves out.
//
// A world fills a [Recorder] while it plays, by three sorts of handles:
//
//	rec := report.NewRecorder("world", scn)
//	delivery := rec.Measure("delivery", "")         // a distribution, and its course
//	refused := rec.Counter("refusals", "local:pool") // a sum, and its rate
//	up := rec.Gauge("nodes", "up")                   // a level, and its course
//	delivery.Add(now, int64(delay))
//	report := rec.Report(now, false)
//
// Memory is bounded whatever a run measures: a distribution keeps classes that are
// within one per cent of their members, a course keeps at most [MaxSlots] slots,
// which grow wider as a run grows longer.
//
// Everything here is pure. A Recorder is for one goroutine at a time; a Report is
// a value that nobody writes any more.
package report
