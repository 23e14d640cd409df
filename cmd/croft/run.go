// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/purse"
	"croft/node/slice"
	"croft/sandbox"
)

// defaultRSet is what a sliver gets when nothing else is said.
const defaultRSet = "cpu=100 memory=128MiB disk=512MiB pids=64 egress.rate=5mbit ingress.rate=5mbit egress.packets=2000 ingress.packets=2000 flows.live=1000"

type runFlags struct {
	nodes            int
	where, limits    string
	rset, name, view string
	term             time.Duration
	ports, tickets   []string
	partial          bool
	termSet          bool // --for was given
	nodesSet         bool // -n was given

	pool, reservation string
	fanOut            uint16
	weight            uint16
	alone             bool
	private           bool
	bid               string
}

func (a *app) run() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [flags] PROGRAM [-- COMMAND…]",
		Short: "Lease shares of nodes and run a program on all of them",
		Long: `Find nodes, lease a share of each and run a program there: all of them, or none.
PROGRAM is one static binary, whose arguments follow --, or a root file system as a
tar, and the command in it follows --. A sliver gets
  ` + strings.Replace(defaultRSet, " egress.rate", "\n  egress.rate", 1) + `
unless --rset or --cap say otherwise. Leases end by themselves.
You send PROGRAM about once: the nodes pass it on to one another, and to any node that
knows its digest, unless it is --private.
--name LABEL@OWNER runs it for a slice of another's who lets you (croft slice accept):
the leases are yours, from the commons or by your tickets; the slice is the owner's.`,
		Example: `  croft run -n 3 --where 'country!=DE' --cap 5mbit,2kpps --for 2h ./probe
  croft run --port 5201/tcp iperf3.tar -- iperf3 -s
  croft run --ticket alice.ticket ./probe
  croft run --ticket uni --name web@mfrggzdf ./probe
  croft run --weight 4 --rset cpu=2000 ./probe
  croft run --reservation evening ./probe`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := dashAfter(cmd, 1); err != nil {
				return err
			}
			if f.reservation != "" {
				return a.launchReserved(cmd, f, args)
			}
			if cmd.Flags().Changed("weight") && (f.weight < 1 || f.weight > lease.MaxWeight) {
				return usage("without --weight a lease is firm", "--weight %d: want 1 to %d", f.weight, lease.MaxWeight)
			}
			f.termSet = cmd.Flags().Changed("for")
			if f.weight > 0 && f.pool == "" {
				f.pool = string(lease.PoolShare)
			}
			f.nodesSet = cmd.Flags().Changed("nodes")
			return a.runSlice(cmd.Context(), f, args)
		},
	}
	c.Flags().IntVarP(&f.nodes, "nodes", "n", 1, "number of nodes")
	c.Flags().StringVar(&f.where, "where", "", "which nodes: a query (croft help find)")
	c.Flags().StringVar(&f.limits, "cap", "", "rate and packets, each way: 5mbit,2kpps; down/up: 5mbit/1mbit")
	c.Flags().StringVar(&f.rset, "rset", "", "more, less or nothing of a resource: cpu=500,memory=256MiB,disk=0")
	c.Flags().Uint16Var(&f.fanOut, "fan-out", 0, "to how many distinct addresses a sliver may open flows in a minute (1 to 1024; default: the node's, or the ticket's)")
	c.Flags().StringVar(&f.name, "name", "", "the slice's name, or LABEL@OWNER of another's (default: s- and 4 hex digits)")
	c.Flags().DurationVar(&f.term, "for", time.Hour, "how long")
	c.Flags().StringArrayVar(&f.ports, "port", nil, "public port to forward: 5201/tcp, 8080:80/tcp (may be repeated)")
	c.Flags().BoolVar(&f.partial, "partial", false, "fewer nodes are better than none")
	c.Flags().StringArrayVar(&f.tickets, "ticket", nil, "redeem this ticket (a file, or its name in your purse), instead of asking the commons (may be repeated)")
	c.Flags().StringVar(&f.pool, "pool", "", "pool to ask: commons, share, calendar or another of the nodes' own (default commons; sharp with --ticket)")
	c.Flags().Uint16Var(&f.weight, "weight", 0, "an evictable lease: this weight's share of what is idle, up to --rset (1 to 1000)")
	c.Flags().StringVar(&f.bid, "bid", "", "what to say to who allots --pool, such as a price: up to 200 bytes, signed with the ask")
	c.Flags().StringVar(&f.reservation, "reservation", "", "run on what croft reserve has leased under this name")
	c.Flags().BoolVar(&f.private, "private", false, "nodes do not pass the program on: each has it from you alone")
	c.Flags().StringVar(&f.view, "view", "on", "off: discover by the DHT alone")
	return c
}

// launchReserved refuses what a reservation has settled already.
func (a *app) launchReserved(cmd *cobra.Command, f runFlags, args []string) error {
	for _, name := range []string{"nodes", "where", "cap", "rset", "name", "for", "port", "ticket", "pool", "weight", "fan-out", "bid"} {
		if cmd.Flags().Changed(name) {
			return usage("", "--%s was settled when slice %s was reserved", name, f.reservation)
		}
	}
	return a.launch(cmd.Context(), f, args)
}

func (a *app) runSlice(ctx context.Context, f runFlags, args []string) error {
	began := time.Now()
	if err := checkQuery(f.where); err != nil { // as typed, before ours is added
		return err
	}
	tickets, err := a.wantedTickets(ctx, f.tickets)
	if err != nil {
		return err
	}
	if !f.nodesSet && len(tickets) > 0 {
		f.nodes = len(tickets)
	}
	wish, err := f.wish(began, tickets)
	if err != nil {
		return err
	}
	t, err := a.runTarget(ctx, f.name, began)
	if err != nil {
		return err
	}
	p, err := openProgram(args[0], args[1:])
	if err != nil {
		return err
	}
	defer p.close()
	p.private = f.private
	text, err := json.Marshal(p.Program)
	if err != nil {
		return err
	}
	plan := slice.Plan{Label: t.Slice, Owner: t.Owner, Want: f.nodes, Partial: f.partial, Wish: wish, Program: text}
	if len(tickets) > 0 {
		err = a.ticketCandidates(ctx, t.key, tickets, &plan)
	} else {
		err = a.seekCandidates(ctx, f, &plan)
	}
	if err != nil {
		return err
	}
	m, err := slice.New(plan, t.key, rand.Reader)
	if err != nil {
		return usage("", "%w", err)
	}
	d := a.driver(t, p)
	d.began = began
	done, err := d.drive(ctx, m)
	if err != nil {
		return err
	}
	return a.ran(done, p.Program)
}

// ran tells how a run ended, and what to type next.
func (a *app) ran(done slice.Done, p sandbox.Program) error {
	label := target{Record: done.Record}.name()
	a.whys(done)
	if len(done.Record.Slivers) > 0 {
		err := a.print(done.Record, func(w io.Writer) { fmt.Fprintln(w, label) })
		if err != nil {
			return err
		}
		inside := "sh"
		if p.Kind == sandbox.Binary { // all that there is to run
			inside = p.BinaryName()
		}
		a.say("next: croft logs %[1]s -f · croft exec %[1]s -- %[2]s … · croft audit flows %[1]s · croft stop %[1]s", label, inside)
	}
	return outcomeError("running slice "+label, done)
}

// whys tells why, node by node; a single reason is in the error.
func (a *app) whys(done slice.Done) {
	if len(done.Why) < 2 && done.Outcome != slice.OK {
		return
	}
	for _, why := range done.Why {
		a.say("  %s", why)
	}
}

// outcomeError gives a machine's outcome the exit code of the same number.
func outcomeError(what string, done slice.Done) error {
	if done.Outcome == slice.OK {
		return nil
	}
	why := done.Outcome.String()
	if n := len(done.Why); n > 0 && strings.HasPrefix(done.Why[n-1], slice.OwnPurse+": ") { // no owner of a node said no
		why = done.Why[n-1]
	} else if n > 0 {
		why += ": " + done.Why[n-1]
	}
	hint := ""
	if strings.Contains(why, purse.ErrSpent.Error()) {
		hint = "`croft ticket list` shows what is left; what was redeemed is spent to the end of the lease's term, even if it was stopped"
	}
	return &failure{code: done.Outcome.ExitCode(), err: fmt.Errorf("%s: %s", what, why), hint: hint}
}

// runTarget is the slice that a run is for: a new one, or by a grant another's,
// which may have slivers already.
func (a *app) runTarget(ctx context.Context, name string, now time.Time) (t target, err error) {
	if t.key, err = a.mine(); err != nil {
		return t, err
	}
	label, owner, foreign := strings.Cut(name, "@")
	if !foreign || owner == "you" || owner != "" && strings.HasPrefix(t.key.Principal().String(), owner) {
		t.Slice, err = a.newLabel(label, now)
		return t, err
	}
	if err := lease.CheckLabel(label); err != nil {
		return t, usage("", "--name: %w", err)
	}
	grants, err := a.choose(label, owner, t.key.Principal(), lease.VerbRun)
	if err != nil {
		return t, err
	}
	t.Slice, t.Owner, t.Actor = label, grants[0].Issuer, t.key.Principal()
	t.authority, _, err = a.authority(ctx, grants, label)
	return t, err
}

// newLabel takes the name that was given, or makes one up; never one in use. A
// slice whose leases have all ended does not use its name any more.
func (a *app) newLabel(name string, now time.Time) (string, error) {
	if name == "" {
		var b [2]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", err
		}
		name = "s-" + hex.EncodeToString(b[:])
	}
	if err := lease.CheckLabel(name); err != nil {
		return "", usage("", "--name: %w", err)
	}
	if !exists(a.slicePath(name)) {
		return name, nil
	}
	rec, err := a.slice(name)
	if err != nil {
		return "", err
	}
	if until := rec.Until(); until <= now.Unix() {
		a.say("slice %s ended at %s: its name is free, and its record goes when the new one comes", name, clockTime(until))
		return name, nil
	}
	return "", usage("`croft stop "+name+"` ends it, or choose another --name", "you have a slice %q already", name)
}

// removed is why the nodes that do not match do not.
func removed(res offer.Result) string {
	var parts []string
	for _, r := range res.Removed {
		if r.Count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", r.Count, r.Constraint))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "(no: " + strings.Join(parts, ", ") + ")"
}

// atLeast adds to a query that a node must have what is wished for.
func atLeast(where string, s lease.RSet) string {
	var parts []string
	for _, r := range []lease.Resource{lease.CPU, lease.Memory, lease.Disk, lease.EgressRate} {
		if s[r] > 0 {
			parts = append(parts, fmt.Sprintf("%s>=%s", r, r.Format(s[r])))
		}
	}
	return narrowed(where, parts...)
}

// narrowed adds constraints to a query, before its clauses.
func narrowed(where string, parts ...string) string {
	constraints, rest := where, ""
	for _, word := range []string{" order by ", " limit ", " spread by "} {
		if i := strings.Index(" "+constraints, word); i >= 0 {
			constraints, rest = (" " + constraints)[:i], (" " + constraints)[i:]+rest
		}
	}
	if c := strings.TrimSpace(constraints); c != "" {
		parts = append([]string{c}, parts...)
	}
	return strings.Join(parts, " & ") + rest
}

// wish is what each node is asked for.
func (f runFlags) wish(now time.Time, tickets []wantedTicket) (slice.Wish, error) {
	set, err := lease.ParseRSet(defaultRSet)
	if err != nil {
		panic(err) // a constant
	}
	until := now.Add(f.term).Unix()
	for _, t := range tickets { // the defaults are for the commons: a ticket may give less
		for r, v := range t.RSet {
			set[r] = min(set[r], v)
		}
		if !f.termSet {
			until = min(until, t.Until)
		}
	}
	if set, err = set.With(f.rset); err != nil {
		return slice.Wish{}, badAmounts("rset", f.rset, err)
	}
	if err := parseCap(f.limits, &set); err != nil {
		return slice.Wish{}, err
	}
	if f.nodes < 1 || f.nodes > slice.MaxNodes {
		return slice.Wish{}, usage(fmt.Sprintf("1 to %d", slice.MaxNodes), "-n %d nodes cannot be", f.nodes)
	}
	w := slice.Wish{Pool: lease.PoolCommons, Term: lease.Term{From: now.Unix(), Until: until}}
	if f.pool != "" {
		w.Pool = lease.Pool(f.pool)
	}
	if len(tickets) > 0 {
		if w.Pool = lease.PoolSharp; f.pool != "" && f.pool != string(w.Pool) || f.weight > 0 {
			return slice.Wish{}, usage("", "a ticket is redeemed from pool %s", w.Pool)
		}
	}
	if w.Alone, w.FanOut, w.Bid = f.alone, f.fanOut, f.bid; f.bid != "" && (len(tickets) > 0 || f.pool == "") {
		return slice.Wish{}, usage("a pool of nodes whose owners have it allotted", "--bid needs --pool, and no ticket")
	}
	if w.FanOut > lease.MaxFanOut {
		return slice.Wish{}, usage("", "--fan-out %d: want 1 to %d", w.FanOut, lease.MaxFanOut)
	}
	if w.Pool == lease.PoolShare || f.weight > 0 {
		w.Class, w.Weight = lease.Evictable, max(f.weight, 1)
	}
	if f.term < time.Second {
		return slice.Wish{}, usage("such as --for 2h", "--for %s is no time to come", f.term)
	}
	for _, s := range f.ports {
		p, err := parsePort(s)
		if err != nil {
			return slice.Wish{}, err
		}
		w.Ports = append(w.Ports, p)
	}
	if err := sandbox.CheckLimits(set); err != nil { // no node could run that
		hint := "give it more with --rset"
		if len(tickets) > 0 {
			hint = "`croft ticket show` says what a ticket gives; ask its issuer for one with cpu, memory and pids"
		}
		return slice.Wish{}, usage(hint, "%w", err)
	}
	set[lease.PortsIn] = max(set[lease.PortsIn], uint64(len(w.Ports)))
	w.RSet = set
	return w, nil
}

// parseCap reads "5mbit,2kpps", each way, or down/up: "5mbit/1mbit,2kpps/1kpps".
func parseCap(s string, set *lease.RSet) error {
	if s == "" {
		return nil
	}
	bad := func(part string) error {
		return usage("such as --cap 5mbit,2kpps or --cap 5mbit/1mbit", "--cap: %q is neither a rate nor packets per second", part)
	}
	for part := range strings.SplitSeq(s, ",") {
		down, up, both := strings.Cut(part, "/")
		if !both {
			up = down
		}
		in, out := lease.IngressRate, lease.EgressRate
		if d, ok := strings.CutSuffix(down, "pps"); ok {
			in, out, down, up = lease.IngressPackets, lease.EgressPackets, d, strings.TrimSuffix(up, "pps")
		}
		var err1, err2 error
		set[in], err1 = in.ParseAmount(down)
		set[out], err2 = out.ParseAmount(up)
		if errors.Join(err1, err2) != nil {
			return bad(part)
		}
	}
	return nil
}

// parsePort reads "5201/tcp" or "8080:80/udp": on the node, and in the sliver.
func parsePort(s string) (p lease.Port, err error) {
	bad := usage("such as --port 5201/tcp or --port 8080:80/tcp", "--port %s is no port, or neither tcp nor udp", s)
	numbers, proto, ok := strings.Cut(s, "/")
	switch {
	case !ok || proto == "tcp":
		p.Proto = lease.TCP
	case proto == "udp":
		p.Proto = lease.UDP
	default:
		return p, bad
	}
	outside, inside, both := strings.Cut(numbers, ":")
	if !both {
		inside = outside
	}
	n, err1 := strconv.ParseUint(outside, 10, 16)
	i, err2 := strconv.ParseUint(inside, 10, 16)
	if errors.Join(err1, err2) != nil || i == 0 {
		return p, bad
	}
	p.Number, p.Inside = uint16(n), uint16(i)
	return p, nil
}
