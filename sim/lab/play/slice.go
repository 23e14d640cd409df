// SPDX-License-Identifier: Apache-2.0

package play

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"croft/lease/offer"
	"croft/sandbox"
	"croft/sim/report"
	"croft/sim/scenario"
)

// slice is a researcher with a home of his own, and his slice.
type slice struct {
	spec    *scenario.Slice
	way     *player // his way in
	home    string
	took    time.Duration // until all of it ran
	outcome string
}

// program is what slivers run: it waits.
var program = []string{"/bin/busybox", "--", "sleep", "86400"}

// begin begins a slice.
func (g *game) begin(ctx context.Context, spec *scenario.Slice) error {
	s := &slice{spec: spec, home: filepath.Join(g.homes, spec.Name), way: g.anyUp()}
	g.mu.Lock()
	g.slices = append(g.slices, s)
	g.mu.Unlock()
	if s.way == nil {
		s.outcome = "there is no node to ask"
		return nil
	}
	where := spec.Where
	if spec.Spread != "" {
		where += " spread by " + spec.Spread
	}
	args := []string{"run", "--name", spec.Name, "-n", fmt.Sprint(spec.Nodes), "--rset", spec.RSet, "--for", spec.Term.String()}
	if strings.TrimSpace(where) != "" {
		args = append(args, "--where", where)
	}
	if spec.Partial {
		args = append(args, "--partial")
	}
	out, err := g.command(ctx, s, append(args, program...)...)
	g.mu.Lock()
	defer g.mu.Unlock()
	var said *refused
	switch {
	case errors.As(err, &said):
		s.outcome = said.Text
	case err != nil:
		return err
	default:
		s.took, s.outcome = ranAfter(out.talk), "ok"
	}
	return nil
}

// anyUp draws a node that is up; nil: there is none.
func (g *game) anyUp() *player {
	chosen := g.choose(scenario.Who{Count: 1})
	if len(chosen) == 0 {
		return nil
	}
	return chosen[0]
}

func (g *game) sliceOf(name string) *slice {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.slices {
		if s.spec.Name == name && s.outcome == "ok" {
			return s
		}
	}
	return nil
}

// renew and stop do nothing about a slice that never came to be, and what a node
// refuses is the node's right.
func (g *game) renew(ctx context.Context, do *scenario.Renew) error {
	return g.about(ctx, do.Name, "renew", do.Name, "--for", do.For.String())
}

func (g *game) stop(ctx context.Context, do *scenario.Stop) error {
	return g.about(ctx, do.Name, "stop", do.Name)
}

func (g *game) about(ctx context.Context, name string, args ...string) error {
	s := g.sliceOf(name)
	if s == nil {
		return nil
	}
	_, err := g.command(ctx, s, args...)
	if said := new(refused); errors.As(err, &said) {
		g.note("%s %s: %s", args[0], name, said.Text)
		return nil
	}
	return err
}

// output is what a command printed.
type output struct{ result, talk []byte }

// refused is a command that ended with an exit code that it has a meaning for.
type refused struct {
	Code int    `json:"code"`
	Text string `json:"error"`
}

func (r *refused) Error() string { return r.Text }

// command runs croft as a researcher would.
func (g *game) command(ctx context.Context, s *slice, args ...string) (output, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.croft, append([]string{"--json", "--socket", s.way.socket, "--home", s.home, "--key", ""}, args...)...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{&out}, &limited{&talk}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = callLimit
	err := cmd.Run()
	var status *exec.ExitError
	if errors.As(err, &status) && ctx.Err() == nil {
		said := &refused{Code: status.ExitCode()}
		for line := range bytes.Lines(talk.Bytes()) {
			var r refused
			if json.Unmarshal(line, &r) == nil && r.Text != "" {
				said.Text = r.Text
			}
		}
		if said.Text == "" {
			return output{}, fmt.Errorf("croft %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(talk.Bytes()))
		}
		return output{}, said
	}
	if err != nil {
		return output{}, fmt.Errorf("croft %s: %w", strings.Join(args, " "), err)
	}
	return output{out.Bytes(), talk.Bytes()}, nil
}

// limited drops what is beyond a bound.
type limited struct{ b *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), max(maxOutput-l.b.Len(), 0))])
	return len(p), nil
}

// ranAfter reads from the stages that run tells when all slivers ran.
func ranAfter(talk []byte) (took time.Duration) {
	for line := range bytes.Lines(talk) {
		var stage struct {
			Stage   string  `json:"stage"`
			Seconds float64 `json:"seconds"`
		}
		if json.Unmarshal(line, &stage) == nil && stage.Stage == "running" {
			took = time.Duration(stage.Seconds * float64(time.Second))
		}
	}
	return took
}

// running asks the nodes of a slice how many of its slivers run.
func (g *game) running(ctx context.Context, s *slice) (count int) {
	if s.outcome != "ok" {
		return 0
	}
	if !s.way.here() {
		if s.way = g.anyUp(); s.way == nil {
			return 0
		}
	}
	out, _ := g.command(ctx, s, "ps", s.spec.Name) // nodes that are down do not answer, and what is there is printed
	for line := range bytes.Lines(out.result) {
		var row struct {
			Live *struct {
				Run sandbox.State `json:"run"`
			} `json:"sliver"`
		}
		if json.Unmarshal(line, &row) == nil && row.Live != nil && row.Live.Run == sandbox.Running {
			count++
		}
	}
	return count
}

// find asks a node at random for nodes, so many times.
func (g *game) find(ctx context.Context, do *scenario.Find) error {
	for i := range do.Count {
		g.after(ctx, time.Duration(i)*do.Every, func(ctx context.Context) error {
			p := g.anyUp()
			if p == nil {
				return nil
			}
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			began := g.now()
			res, err := p.way.Find(ctx, offer.FindRequest{Query: do.Where, View: do.View != "off"})
			now := g.now()
			g.mu.Lock()
			defer g.mu.Unlock()
			g.figures.sought++
			if err == nil && len(res.Offers) > 0 {
				g.figures.found++
				g.figures.lookup.Add(now, int64(now-began))
			}
			return nil
		})
	}
	return nil
}

// rows says what became of the slices.
func (g *game) rows(ctx context.Context) {
	for _, s := range g.slices {
		outcome := s.outcome
		if outcome == "" {
			outcome = "under way"
		}
		g.rec.Slice(report.Slice{Name: s.spec.Name, Wanted: s.spec.Nodes, Running: g.running(ctx, s), Outcome: outcome, Time: s.took})
	}
}
