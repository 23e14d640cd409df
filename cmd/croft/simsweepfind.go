// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	simreport "croft/sim/report"
)

// sweptFinds is what finds by the index came to at one size: times in seconds.
type sweptFinds struct {
	Get      float64 `json:"get_p50_s"` // a plain look-up of a record, from the same nodes
	First    float64 `json:"first_p50_s"`
	FirstP95 float64 `json:"first_p95_s"`
	Page     float64 `json:"page_p50_s"` // of 20 matches
	PageP95  float64 `json:"page_p95_s"`
	Requests float64 `json:"requests_mean"`      // of a find
	Walk     float64 `json:"walk_requests_mean"` // of one look-up in it
	Success  float64 `json:"success_share"`      // of the finds for which there was something
}

// findsOf takes them out of a report; nil: nobody asked the index.
func findsOf(r *simreport.Report) *sweptFinds {
	if _, ok := r.Value("lookup", "", "p50"); !ok {
		return nil
	}
	value := func(figure, of, stat string) float64 {
		v, _ := r.Value(figure, of, stat)
		return v.Value
	}
	return &sweptFinds{Get: value("get", "", "p50"), First: value("lookup", "", "p50"), FirstP95: value("lookup", "", "p95"),
		Page: value("page", "", "p50"), PageP95: value("page", "", "p95"), Requests: value("requests", "find", "mean"),
		Walk: value("requests", "walk", "mean"), Success: value("lookup", "", "success")}
}

// findColumns are printed below the costs, where there were finds.
var findColumns = []sweepColumn{
	{"GET", func(s swept) float64 { return s.finds().Get }, milliseconds},
	{"FIRST p50", func(s swept) float64 { return s.finds().First }, milliseconds},
	{"p95", func(s swept) float64 { return s.finds().FirstP95 }, milliseconds},
	{"PAGE p50", func(s swept) float64 { return s.finds().Page }, milliseconds},
	{"PAGE p95", func(s swept) float64 { return s.finds().PageP95 }, milliseconds},
	{"REQUESTS", func(s swept) float64 { return s.finds().Requests }, func(v float64) string { return fmt.Sprintf("%.1f", v) }},
	{"A LOOK-UP", func(s swept) float64 { return s.finds().Walk }, func(v float64) string { return fmt.Sprintf("%.1f", v) }},
	{"SUCCESS", func(s swept) float64 { return s.finds().Success }, func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }},
}

func (s swept) finds() sweptFinds {
	if s.Finds == nil {
		return sweptFinds{}
	}
	return *s.Finds
}

func milliseconds(v float64) string {
	return time.Duration(v * 1e9).Round(time.Millisecond).String()
}
