// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"croft/node/daemon"
	"croft/sim/lab"
	"croft/sim/lab/play"
	market "croft/sim/market/play"
	simreport "croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/world"
)

// player plays a scenario in one of the worlds; progress is told now and then.
type player func(ctx context.Context, s *scenario.Scenario, progress func(simreport.Progress)) (*simreport.Report, error)

// worldNames are those that there are; the first is the usual one.
var worldNames = scenario.Worlds

func (a *app) worlds() map[string]player {
	return map[string]player{
		"world": func(ctx context.Context, s *scenario.Scenario, progress func(simreport.Progress)) (*simreport.Report, error) {
			if s.Market() {
				return market.Run(ctx, s, market.Options{Progress: progress})
			}
			return world.Run(ctx, s, world.Options{Progress: progress, Baseline: a.baseline})
		},
		"stack": a.playStack,
		"lab": func(ctx context.Context, s *scenario.Scenario, progress func(simreport.Progress)) (*simreport.Report, error) {
			self, err := os.Executable()
			if err != nil {
				return nil, err
			}
			r, err := play.Run(ctx, s, play.Options{Progress: progress,
				Lab: lab.Config{Croft: self, Env: os.Environ(), Identity: identity, Certify: certify, Destroy: daemon.Wipe}})
			return r, labError(err)
		},
	}
}

// thisMachine says where figures come from, as far as the system tells.
func thisMachine() string {
	s := fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		s += ", Linux " + unix.ByteSliceToString(name.Release[:])
	}
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return s
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value) + ", " + s
		}
	}
	return s
}
