// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node"
	"croft/sandbox"
)

// TestTranscripts replays testdata/*.txt: what a node is told, and what it does.
// Commands:
//
//	node [capacity=RSET] [places=N]   a node without a past
//	at OFFSET                         let time pass until OFFSET after the start
//	ask NAME by=WHO slice=LABEL rset=RSET for=DURATION [in=DURATION] [renews=NAME] [pool=POOL] [weight=N]
//	commit NAME | activate NAME | close NAME [by=WHO]
//	launched NAME | launch-failed NAME | exited NAME code=N | removed NAME
//	issue NAME to=WHO rset=RSET for=DURATION [degree=N]      the node gives a ticket
//	pass NAME of=TICKET to=WHO slot=N rset=RSET [degree=N]   its holder passes some of it on
//	redeem NAME of=TICKET slot=N rset=RSET for=DURATION [renews=NAME]
//	crash [OFFSET]                    forget all but the journal, and recover (then)
//	books | tree | proofs             what the ledger holds
//
// Statements are called by the name of the ask that they answer.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &stage{t: t, names: map[string]string{}, asks: map[string]*wish{}, tickets: map[string]*ticket{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return s.run(d)
		})
	})
}

// start is an instant that every transcript begins at.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// stage is a node on which a transcript is played.
type stage struct {
	t       *testing.T
	core    *node.Core
	cfg     node.Config
	now     time.Time
	journal [][]byte
	names   map[string]string // id or sliver → its name here
	asks    map[string]*wish
	tickets map[string]*ticket
	order   []string
	asked   string // what was wished last
	ref     uint64
}

type wish struct {
	by     string
	hold   lease.ID
	lease  lease.ID
	sliver string
}

func (s *stage) run(d *datadriven.TestData) string {
	name := ""
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	w := s.asks[name]
	by := arg(d, "by", "")
	if w != nil && by == "" {
		by = w.by
	}
	who := leasetest.Key(by).Principal()
	s.ref++
	switch d.Cmd {
	case "node":
		return s.fresh(d)
	case "at":
		return s.advance(name)
	case "ask":
		return s.ask(d, name, by)
	case "issue":
		return s.issue(d, name)
	case "pass":
		return s.pass(d, name)
	case "redeem":
		return s.redeem(d, name)
	case "tree":
		return s.tree()
	case "proofs":
		return s.proofs()
	case "commit":
		return s.step(lease.Commit{Ref: s.ref, Caller: who, Hold: w.hold})
	case "activate":
		return s.step(lease.Activate{Ref: s.ref, Caller: who, Lease: w.lease, Program: []byte(arg(d, "program", "probe"))})
	case "close":
		return s.close(w, by)
	case "launched":
		return s.step(sandbox.Launched{Sliver: w.sliver})
	case "launch-failed":
		return s.step(sandbox.LaunchFailed{Sliver: w.sliver, Reason: arg(d, "reason", "no such file")})
	case "exited":
		return s.step(sandbox.Exited{Sliver: w.sliver, Reason: sandbox.ReasonExited})
	case "removed":
		return s.step(sandbox.Removed{Sliver: w.sliver})
	case "crash":
		return s.crash(name)
	case "books":
		return s.books()
	}
	d.Fatalf(s.t, "unknown command %q", d.Cmd)
	return ""
}

func (s *stage) fresh(d *datadriven.TestData) string {
	capacity, err := lease.ParseRSet(arg(d, "capacity", "cpu=2000,memory=2GiB,disk=8GiB,pids=1000"))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	pools := lease.DefaultPools(capacity)
	for i := range pools {
		pools[i].Capacity = capacity // the whole for each: sums that are easy to read
	}
	places := 64
	d.MaybeScanArgs(s.t, "places", &places)
	s.now = start
	s.cfg = node.Config{Places: places, Ledger: lease.LedgerConfig{Key: leasetest.Key("node"), Pools: pools,
		Ports: lease.PortRange{First: 5000, Last: 5009}}}
	s.core, s.journal, s.tickets = node.NewCore(s.cfg), nil, map[string]*ticket{}
	return s.step(node.Recover{})
}

// advance lets time pass, waking the core when it asks to be.
func (s *stage) advance(offset string) string {
	d, err := time.ParseDuration(offset)
	if err != nil {
		s.t.Fatal(err)
	}
	until := start.Add(d)
	var out strings.Builder
	for {
		wake, ok := s.core.NextWake()
		if !ok || wake.After(until) {
			break
		}
		s.now = wake
		fmt.Fprintf(&out, "%s\n%s", wake.Sub(start), s.step(node.Tick{}))
	}
	s.now = until
	return out.String()
}

func (s *stage) ask(d *datadriven.TestData, name, by string) string {
	rset, err := lease.ParseRSet(arg(d, "rset", "cpu=100,memory=128MiB,pids=64"))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	term, err := time.ParseDuration(arg(d, "for", "1h"))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	in, err := time.ParseDuration(arg(d, "in", "0s"))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	key := leasetest.Key(by)
	from := s.now.Add(in).Unix()
	st := &lease.Ask{K: lease.KindAsk, Issuer: key.Principal(), Node: leasetest.Key("node").Principal(), RSet: rset,
		From: from, Until: from + int64(term.Seconds()), Slice: arg(d, "slice", "ron"), Pool: lease.PoolCommons}
	st.Pool = lease.Pool(arg(d, "pool", string(st.Pool)))
	if d.HasArg("weight") {
		st.Class = lease.Evictable
		d.ScanArgs(s.t, "weight", &st.Weight)
	}
	copy(st.Request[:], name)
	w := &wish{by: by}
	if old := arg(d, "renews", ""); old != "" {
		st.Replaces, w.sliver = s.asks[old].lease, s.asks[old].sliver
	}
	return s.wish(name, w, [][]byte{s.seal(st, by)})
}

func (s *stage) wish(name string, w *wish, chain [][]byte) string {
	if s.asks[name] == nil {
		s.asks[name] = w
		s.order = append(s.order, name)
	}
	s.asked = name
	return s.step(lease.Wish{Ref: s.ref, Caller: leasetest.Who(w.by), Chain: chain})
}

func (s *stage) close(w *wish, by string) string {
	key := leasetest.Key(by)
	claim := w.lease
	if claim.IsZero() {
		claim = w.hold
	}
	signed := s.seal(&lease.Close{K: lease.KindClose, Issuer: key.Principal(), Node: leasetest.Who("node"), Claim: claim, At: s.now.Unix()}, by)
	return s.step(lease.End{Ref: s.ref, Caller: key.Principal(), Close: signed})
}

// crash keeps nothing but the journal; the node is back at an offset, or at once.
func (s *stage) crash(offset string) string {
	if offset != "" {
		d, err := time.ParseDuration(offset)
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = start.Add(d)
	}
	s.core = node.NewCore(s.cfg)
	for _, r := range s.journal {
		if err := s.core.Restore(r); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.step(node.Recover{})
}

func (s *stage) books() string {
	var out strings.Builder
	for _, e := range s.core.Ledger().Leases() {
		id := e.Lease
		if id.IsZero() {
			id = e.Hold
		}
		fmt.Fprintf(&out, "%s %s %s until %s\n", s.names[id.String()], e.State, e.RSet, time.Unix(e.Term.Until, 0).Sub(start))
	}
	return out.String()
}

// step applies an input, keeps the facts as a journal would, and prints the rest.
func (s *stage) step(in node.Input) string { return s.stepWith(in, func(lease.Answer) {}) }

// stepWith shows the answer to what it is for, before it is printed.
func (s *stage) stepWith(in node.Input, look func(lease.Answer)) string {
	var out strings.Builder
	for _, e := range s.core.Step(s.now, in) {
		if r, ok := node.Record(e); ok {
			s.journal = append(s.journal, r)
		}
		if a, ok := e.(lease.Answer); ok {
			look(a)
		}
		s.learn(e)
		fmt.Fprintln(&out, s.readable(e))
	}
	return out.String()
}

// learn gives what is new a name: that of the ask it answers.
func (s *stage) learn(e node.Effect) {
	answer, ok := e.(lease.Answer)
	if !ok {
		return
	}
	for _, b := range answer.Statements {
		o, err := lease.Open(b)
		if err != nil {
			s.t.Fatal(err)
		}
		switch st := o.Statement.(type) {
		case *lease.Hold:
			s.asks[s.asked].hold = o.ID
			s.names[o.ID.String()] = s.asked + ".hold"
		case *lease.Lease:
			for _, name := range s.order {
				if w := s.asks[name]; w.hold == st.Hold {
					w.lease = o.ID
					s.names[o.ID.String()] = name + ".lease"
					if w.sliver == "" {
						w.sliver = st.SliverOf(o.ID)
						s.names[w.sliver] = name
					}
				}
			}
		}
	}
}

var (
	digest = regexp.MustCompile(` (record|statements|program|proof)=[a-z0-9:,]+`)
	unixAt = regexp.MustCompile(`(at|until)=(\d{10})`)
)

// readable puts names where ids are, offsets where instants are, and leaves
// digests out.
func (s *stage) readable(e node.Effect) string {
	text := e.String()
	if a, ok := e.(lease.Answer); ok && a.Refusal == nil {
		for _, b := range a.Statements {
			if o, err := lease.Open(b); err == nil {
				text += " " + o.Kind().String()
			}
		}
	}
	text = digest.ReplaceAllString(text, "")
	text = s.tell(text)
	if a, ok := e.(lease.Answer); ok && a.Refusal != nil && len(a.Refusal.Attachment) > 0 {
		text += fmt.Sprintf(" attached=%q", s.attached(a))
	}
	ids := slices.SortedFunc(maps.Keys(s.names), func(a, b string) int { return len(b) - len(a) })
	for _, id := range ids { // a sliver's name begins a lease's id
		text = strings.ReplaceAll(text, id, s.names[id])
		if len(id) == 52 {
			text = strings.ReplaceAll(text, "="+id[:8], "="+s.names[id])
		}
	}
	return unixAt.ReplaceAllStringFunc(text, func(m string) string {
		key, sec, _ := strings.Cut(m, "=")
		var n int64
		fmt.Sscan(sec, &n)
		return key + "=" + time.Unix(n, 0).Sub(start).String()
	})
}

func arg(d *datadriven.TestData, key, def string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			return strings.Join(a.Vals, ",")
		}
	}
	return def
}
