// SPDX-License-Identifier: Apache-2.0

// Command bench measures what docs/bench.md promises and prints one table.
//
//	make bench
//	build/bench --only 'chain|admission' --quick
//	build/bench --json > bench.json
//	build/bench soak --for 30m
//
// Every ratio is of two things measured in turns in the same run, so that a
// machine that slows down slows down both; what is shown is the median and the
// quartiles. A goal that is missed is a line of the table and no failure: the
// exit status is 1 only when something could not be measured.
//
// The soak is no line of the table: it holds one daemon under traffic, and fails
// where a packet has no row, an account does not balance, or memory grows.
//
// Whatever a section makes is gone when it returns, also after Ctrl-C. What a
// bench that was killed left of its lab, the next one takes away first.
//
// It is one goroutine but for the traffic it sends, and no part of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// A bench is one run: what it was asked for, and what it has found.
type bench struct {
	quick   bool
	window  time.Duration // of accuracy and far; 0: short
	days    float64       // of the audit record's history
	history string        // directory in which that is kept between runs
	croft   string        // the product's binary
	lab     string        // directory of the lab that this run makes
	found   []line
}

// A section measures one or a few lines of the table.
type section struct {
	name  string
	root  bool
	takes float64 // seconds on two idle cores, without --quick and --window
	run   func(*bench, context.Context) error
}

// sections are in the order of the table. The lab's come last and in this
// order: a lab idles best before anything has run in it.
var sections = []section{
	{"signing", false, 5, (*bench).signing},
	{"chain", false, 25, (*bench).chain},
	{"proof", false, 30, (*bench).proofs},
	{"size", false, 1, (*bench).sizes},
	{"admission", false, 40, (*bench).admission},
	{"agents", false, 40, (*bench).agents},
	{"audit", false, 90, (*bench).auditLines},
	{"roles", false, 30, (*bench).roles},
	{"topics", false, 30, (*bench).topics},
	{"packet", true, 60, (*bench).packet},
	{"program", true, 45, (*bench).program},
	{"crowd", true, 60, (*bench).crowd},
	{"throughput", true, 270, (*bench).throughput},
	{"record", true, 40, (*bench).recorded},
	{"accuracy", true, 210, (*bench).accuracy},
	{"far", true, 0, (*bench).far},
	{"queue", true, 120, (*bench).queue},
	{"start", true, 15, (*bench).start},
	{"lab", true, 330, (*bench).labLines},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	do, args := run, os.Args[1:]
	if len(args) > 0 && args[0] == "soak" {
		do, args = soakMain, args[1:]
	}
	if err := do(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "measure the sections that match `REGEXP`: signing chain proof size admission agents audit roles topics packet program crowd throughput record accuracy far queue start lab")
	quick := flags.Bool("quick", false, "fewer rounds: a look, not a result")
	window := flags.Duration("window", 0, "how long accuracy measures each cell, and from 10s on also far, and queue ten runs: 30s for figures that are quoted")
	days := flags.Float64("audit-days", 1.5, "how long a history the audit lines have: 30 is the whole, takes 2 GB in /var/tmp and a quarter of an hour")
	history := flags.String("audit-history", "", "directory in which that history is kept, and gone on with by the next run")
	asJSON := flags.Bool("json", false, "print JSON")
	croft := flags.String("croft", "build/croft", "the binary to measure")
	dir := flags.String("lab", "/var/lib/croft-bench", "directory of the lab that is made and removed")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	if *window < 0 || *window > time.Hour {
		return fmt.Errorf("--window %s: want up to an hour", *window)
	}
	b := &bench{quick: *quick, window: *window, days: *days, history: *history, lab: *dir}
	if b.croft, err = filepath.Abs(*croft); err != nil {
		return err
	}
	unlock, err := alone("bench")
	if err != nil {
		return err
	}
	defer unlock()

	var takes time.Duration
	for _, s := range sections {
		if pattern.MatchString(s.name) {
			takes += b.takes(s)
		}
	}
	fmt.Fprintf(os.Stderr, "this takes %s on two idle cores\n", takes.Round(time.Minute))
	began, failed := time.Now(), 0
	for _, s := range sections {
		if !pattern.MatchString(s.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), s.name)
		err := errors.New("needs root")
		if !s.root || os.Geteuid() == 0 {
			err = s.run(b, ctx)
		}
		if err == nil {
			err = ctx.Err()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted while measuring %s: %w", s.name, err)
		}
		if err != nil {
			failed++
			b.add(line{What: s.name, Note: "not measured: " + err.Error()})
		}
	}
	r := report{Machine: thisMachine(), Quick: b.quick, Took: time.Since(began).Seconds(), Lines: b.found}
	if *asJSON {
		err = r.json(os.Stdout)
	} else {
		err = r.table(os.Stdout)
	}
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d sections could not be measured", failed))
	}
	return err
}

// takes is about how long a section is.
func (b *bench) takes(s section) time.Duration {
	d := time.Duration(s.takes * float64(time.Second))
	long := b.window >= 10*time.Second
	switch {
	case s.name == "accuracy" && b.window > 0:
		return 46 * (b.window*7/6 + time.Second) // cells; and those of others
	case s.name == "far" && long:
		return 23 * (b.window*7/6 + time.Second)
	case s.name == "queue" && long:
		return 7 * time.Minute
	case s.name == "audit":
		return d + time.Duration(max(0, b.days-1.5)*30)*time.Second
	case b.quick:
		return d / 4
	}
	return d
}

// alone keeps a second run of a kind from the same lab, and from the same processors.
func alone(kind string) (func(), error) {
	// One that was killed may have left it with a child, for a moment.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	lock := flock.New(filepath.Join(os.TempDir(), "croft-"+kind+".lock"))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, fmt.Errorf("one %s runs on a machine at a time: locking %s: %w", kind, lock, err)
	}
	return func() { os.Remove(lock.Path()); lock.Close() }, nil
}

func (b *bench) add(l line) { b.found = append(b.found, l) }

// rounds is how often something is measured.
func (b *bench) rounds(full, quick int) int {
	if b.quick {
		return quick
	}
	return full
}
