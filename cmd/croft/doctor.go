// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/ebpf/bypass"
	"croft/node/daemon"
)

// benches is how many items of the bypass suite run at once unless told, maxBenches
// the most: each is a node, and what it counts is worth something only where the
// processors have time to spare.
const (
	benches    = 2
	maxBenches = 16
)

func (a *app) doctor() *cobra.Command {
	var tryAll bool
	var items []string
	var atOnce int
	c := &cobra.Command{
		Use: "doctor", Short: "Check every requirement of hosting, and say how to mend what is missing", Args: cobra.NoArgs,
		Long: `Look at everything that hosting slivers needs on this machine; at the parts of its
kernel that hold limits, and what is in force where one is missing; and for what
nodes left that are gone. No daemon is needed; where one listens, alarms of the last
day about its record of packets are shown. Nothing of this machine is changed: as
root, the parts are tried in namespaces made for that and removed. Exit code 1 if a
requirement is missing, or there is an alarm.

Last comes the obsolescence meter, of the node that listens: each thing on which it
depends that its founders built or run, who has it now, and what happens if that
vanishes this minute. Tenants of roles are asked a question each, and nodes whether they
are there. theirs: nobody but the founders has it; shared: others have it too; free: they
have nothing to do with it. It changes no exit code.

With --bypass, try to get around a sliver's limits in every way of the bypass
suite, on a node made for that, between namespaces that reach no other network.
What arrives is counted at the receiver for three seconds, and once more with the
guard detached, to show that the way is one. Root only; about two minutes. The
verdicts:

  held   within the lease, and over it without a guard
  moot   within the lease, and without a guard too: the line says what stops it
  KNOWN  over the lease, by powers that no sliver has: the line says which
  HOLE   over the lease
  weak   too little was sent, or it is no attack: nothing is proved

Exit code 1 on a hole, and when anything is weak.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tryAll || len(items) > 0 {
				return a.bypass(cmd.Context(), items, atOnce)
			}
			return a.lookOver(cmd.Context())
		},
	}
	c.Flags().BoolVar(&tryAll, "bypass", false, "try to get around the limits of slivers")
	c.Flags().StringArrayVar(&items, "item", nil, "of the bypass suite, this one only (may be repeated)")
	c.Flags().IntVar(&atOnce, "at-once", benches, "of the bypass suite, so many items; more than the machine can bear show as weak")
	return c
}

// finding is one line of doctor.
type finding struct {
	Kind    string `json:"kind"` // requirement, feature, leftover, record or dependence
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Found   string `json:"found,omitempty"`
	Need    string `json:"need,omitempty"`     // what is lost without a requirement
	InForce string `json:"in_force,omitempty"` // instead of a feature
	Cost    string `json:"cost,omitempty"`     // of that
	Mend    string `json:"mend,omitempty"`

	*dependence
}

// lookOver prints requirements, features and leftovers.
func (a *app) lookOver(ctx context.Context) error {
	cfg := daemon.DefaultConfig()
	var all []finding
	bad := 0
	for _, c := range slices.Concat(daemon.Doctor(cfg), daemon.PolicyCheck(cfg, time.Now())) {
		all = append(all, finding{Kind: "requirement", Name: c.Name, OK: c.OK, Found: c.Found, Need: c.Need, Mend: c.Mend})
		if !c.OK {
			bad++
		}
	}
	requirements := len(all)
	if os.Geteuid() == 0 {
		features, err := bypass.Features(ctx)
		if err != nil {
			a.say("not all of the kernel's parts could be tried: %s", plain(err))
		}
		for _, f := range features {
			all = append(all, finding{Kind: "feature", Name: f.Name, OK: f.Present, Found: f.Found, InForce: f.InForce, Cost: f.Cost})
		}
		swept, err := bypass.Sweep(ctx)
		if err != nil {
			a.say("what a bypass suite that was killed left could not be removed: %s", plain(err))
		}
		for _, tag := range swept {
			all = append(all, finding{Kind: "leftover", Name: "bench " + tag, OK: true, Found: "of a bypass suite that was killed; it is removed now"})
		}
		dead, err := findLeftovers(machineRoots)
		if err != nil {
			a.say("what is left of nodes that are gone could not be looked for: %s", plain(err))
		}
		for _, l := range dead {
			all = append(all, finding{Kind: "leftover", Name: "node " + l.tag, Found: strings.Join(l.what, ", ") + "; no process holds it",
				Mend: "croft net destroy --state DIR, with the state directory of that node, if it is gone for good"})
		}
	} else {
		a.say("the kernel's own parts and leftovers of nodes are looked at by root only")
	}
	alarmed := false
	if f, ok := a.record(ctx); ok {
		all, alarmed = append(all, f), !f.OK
	}
	if u, err := a.way().Updates(ctx); err == nil { // no daemon is needed
		all = append(all, freshness(u))
	}
	all = append(all, a.obsolescence(ctx)...)
	err := printEach(a, all, "", findingLine)
	if err == nil && bad == 0 && alarmed {
		err = &failure{code: exitFailed, reason: "alarm", err: errors.New("the node's record of packets has alarms")}
	}
	if err == nil && bad > 0 {
		err = fail(exitFailed, "without them `croft up` is a visitor", "%d of %d requirements are missing", bad, requirements)
	}
	return err
}

func findingLine(w io.Writer, f finding) {
	switch {
	case f.dependence != nil:
		f.dependence.line(w, f)
	case f.OK:
		fmt.Fprintf(w, "ok\t%s\t%s\n", f.Name, f.Found)
	case f.Kind == "requirement":
		fmt.Fprintf(w, "MISSING\t%s\t%s\n\t\t%s\n\t\tmend: %s\n", f.Name, f.Found, f.Need, f.Mend)
	case f.Kind == "record":
		fmt.Fprintf(w, "ALARM\t%s\t%s\n\t\tsee: %s\n", f.Name, f.Found, f.Mend)
	case f.Kind == "update":
		fmt.Fprintf(w, "STALE\t%s\t%s\n\t\tsee: %s\n", f.Name, f.Found, f.Mend)
	case f.Kind == "feature":
		fmt.Fprintf(w, "without\t%s\t%s\n\t\tin force: %s\n\t\tcosts: %s\n", f.Name, f.Found, f.InForce, f.Cost)
	default:
		fmt.Fprintf(w, "LEFT\t%s\t%s\n\t\tmend: %s\n", f.Name, f.Found, f.Mend)
	}
}

// bypass runs the suite, or some of it, and prints each result as it comes.
func (a *app) bypass(ctx context.Context, names []string, atOnce int) error {
	if atOnce < 1 || atOnce > maxBenches {
		return usage("each is a node of its own", "--at-once %d: want 1 to %d", atOnce, maxBenches)
	}
	items, err := bypass.Select(names)
	if err != nil {
		return usage("`croft doctor --bypass` runs all and names them", "%w", err)
	}
	if os.Geteuid() != 0 {
		return fail(exitFailed, "run it as root: it makes a node of its own", "the bypass suite needs root")
	}
	if swept, err := bypass.Sweep(ctx); err != nil {
		return err
	} else if len(swept) > 0 {
		a.say("removed what was left of %s", strings.Join(swept, " "))
	}
	if !a.json {
		fmt.Fprintf(a.out, bypassLine, "ITEM", "VERDICT", "SENT", "OFFERED", "RECEIVED", "ALLOWED", "WORST", "CONTROL", "")
	}
	verdicts := map[bypass.Verdict]int{}
	err = bypass.Run(ctx, bypass.Config{Items: items, Benches: min(atOnce, len(items))}, func(r bypass.Result) {
		verdicts[r.Verdict]++
		if a.json {
			_ = json.NewEncoder(a.out).Encode(r) // the exit code tells it all the same
			return
		}
		note := r.About
		if r.Why != "" {
			note = r.Why
		}
		fmt.Fprintf(a.out, bypassLine, r.Item, r.Verdict, moved(r.Sent), fmt.Sprintf("%.0f×", r.Offered), moved(r.Received), moved(r.Allowed),
			fmt.Sprintf("%.0f %%", r.Used*100), fmt.Sprintf("%.1f×", r.Control), note)
	})
	if err != nil {
		return err
	}
	if len(names) == 0 {
		a.channels()
	}
	a.say("%d held, %d moot, %d known, %d weak, %d holes", verdicts[bypass.Held], verdicts[bypass.Moot], verdicts[bypass.Known],
		verdicts[bypass.Weak], verdicts[bypass.Hole])
	switch {
	case verdicts[bypass.Hole] > 0:
		return fail(exitFailed, "please tell the maintainers, in private first", "%w: %d", bypass.ErrHole, verdicts[bypass.Hole])
	case verdicts[bypass.Weak] > 0:
		return fail(exitFailed, "was the machine busy with something else? Try again with --item", "%w of %d items", bypass.ErrWeak, verdicts[bypass.Weak])
	}
	return nil
}

// bypassLine is a result's line: a table cannot wait for its last row here.
const bypassLine = "%-18s %-7s %20s %7s %20s %20s %6s %7s  %s\n"

func moved(t bypass.Traffic) string { return fmt.Sprintf("%s in %d", octets(t.Octets), t.Packets) }

// channels says what the node moves for slivers that no guard sees.
func (a *app) channels() {
	for _, c := range bypass.Channels {
		if c.Open != "" && !strings.HasPrefix(c.Open, "there is none") {
			a.say("beside the guard: %s: %s", c.Name, c.Open)
		}
	}
}
