// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"

	simreport "croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/stack"
)

// playStack plays a scenario with whole daemons, in a process of its own: this
// program once more, as `croft sim child`.
func (a *app) playStack(ctx context.Context, s *scenario.Scenario, progress func(simreport.Progress)) (*simreport.Report, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return stack.Play(ctx, s, stack.Config{Self: []string{self, "sim", "child"}, Baseline: a.baseline, Progress: progress})
}
