// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease"
	"croft/lease/leasetest"
)

// machine is what Run, Renewal and Stop have in common.
type machine interface {
	Step(time.Time, Input) []Effect
	NextWake() (time.Time, bool)
}

// transcript plays lines against a machine and draws what happens: a column a
// node, time downwards. "<held" came from the node, "commit>" went to it.
type transcript struct {
	m      machine
	at     time.Duration
	names  []string
	nodes  map[string]*node
	last   map[string]Effect // what each node was last told
	record Record
	out    strings.Builder
}

const column = 24

func (tr *transcript) play(line string) error {
	words := strings.Fields(line)
	if words[0] == "wait" {
		if words[1] == "wake" {
			if at, ok := tr.m.NextWake(); ok {
				tr.at = at.Sub(epoch)
			} else {
				return fmt.Errorf("nothing to wake for")
			}
		} else {
			d, err := time.ParseDuration(words[1])
			if err != nil {
				return err
			}
			tr.at += d
		}
		tr.step("", "", Tick{})
		return nil
	}
	if len(words) == 1 {
		in, ok := map[string]Input{"start": Start{}, "abort": Abort{}}[words[0]]
		if !ok {
			return fmt.Errorf("unknown line %q", line)
		}
		tr.step("", words[0], in)
		return nil
	}
	for _, name := range strings.Split(words[0], ",") {
		tr.at += 10 * time.Millisecond
		in, err := tr.answer(tr.nodes[name], words[1], words[2:])
		if err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		tr.step(name, words[1], in)
	}
	return nil
}

// answer has a node answer what it was last told.
func (tr *transcript) answer(n *node, verb string, rest []string) (Input, error) {
	now, id := epoch.Add(tr.at), n.who()
	switch verb {
	case "held":
		if e, ok := tr.last[n.name+" ask"].(AskHold); ok {
			return n.take(now, e.Chain)
		}
	case "forged": // a hold for less than was asked
		e := tr.last[n.name+" ask"].(AskHold)
		o, err := lease.Open(e.Chain[0])
		a := o.Statement.(*lease.Ask)
		h := n.sign(&lease.Hold{K: lease.KindHold, Node: id, RSet: lease.RSet{lease.CPU: 1}, From: a.From, Until: a.Until,
			Holder: a.Issuer, Parent: o.ID, CommitBy: a.From + 30})
		return Held{Node: id, Hold: h.Signed.Bytes(), Left: fuse}, err
	case "committed":
		if e, ok := tr.last[n.name+" commit"].(CommitHold); ok {
			return n.commit(now, e.Hold), nil
		}
	case "activated":
		if e, ok := tr.last[n.name+" activate"].(ActivateLease); ok {
			return n.activate(now, e.Lease), nil
		}
	case "closed":
		if e, ok := tr.last[n.name+" close"].(CloseClaim); ok {
			return n.end(now, e)
		}
	case "refused":
		return Refused{id, no(lease.ReasonCapacity)}, nil
	case "commit-refused":
		return CommitRefused{id, no(lease.ReasonState)}, nil
	case "failed":
		return Failed{id, Trouble(rest[0]), "as told"}, nil
	case "activate-failed":
		return ActivateFailed{id, "no such blob"}, nil
	case "progress":
		return Progress{id, strings.Join(rest, " ")}, nil
	case "running":
		return Running{id, "192.0.2.7"}, nil
	case "exited":
		return SliverFailed{id, "exit 127"}, nil
	}
	return nil, fmt.Errorf("node %s was not told to", n.name)
}

func (tr *transcript) step(from, verb string, in Input) {
	cells := map[string]string{}
	var beside []string
	if from != "" {
		cells[from] = "<" + verb
	} else if verb != "" {
		beside = append(beside, verb)
	}
	for _, e := range tr.m.Step(epoch.Add(tr.at), in) {
		var to lease.Principal
		short := ""
		switch e := e.(type) {
		case AskHold:
			to, short = e.Node, "ask"
		case CommitHold:
			to, short = e.Node, "commit"
		case ActivateLease:
			to, short = e.Node, "activate"
		case CloseClaim:
			to, short = e.Node, "close"
		case Stage:
			beside = append(beside, strings.TrimSpace(fmt.Sprintf("%s %d/%d %s", e.Name, e.Got, e.Want, e.Text)))
		case Keep:
			tr.record = e.Record
			beside = append(beside, fmt.Sprintf("keep %d", len(e.Record.Slivers)))
		case Done:
			beside = append(beside, fmt.Sprintf("DONE %s (exit %d)", e.Outcome, e.Outcome.ExitCode()))
			for _, w := range e.Why {
				beside = append(beside, "{"+w+"}")
			}
		}
		if short != "" {
			for _, name := range tr.names {
				if leasetest.Who(name) == to {
					tr.last[name+" "+short] = e
					cells[name] = strings.TrimSpace(cells[name] + " " + short + ">")
				}
			}
		}
	}
	line := fmt.Sprintf("%7.2fs  ", tr.at.Seconds())
	for _, name := range tr.names {
		cell := cells[name]
		if cell == "" {
			cell = "|"
		}
		line += fmt.Sprintf("%-*s", column, cell)
	}
	text := strings.TrimRight(line+strings.Join(beside, "; "), " ")
	for _, name := range tr.names { // ids are of no interest here
		text = strings.ReplaceAll(text, leasetest.Who(name).Short(), name)
	}
	fmt.Fprintln(&tr.out, text)
}

// TestTranscripts plays testdata/*.txt. Each begins with a plan; then a line is
// what the nodes answer, in that order, or what the user or the clock does.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var tr *transcript
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "run":
				var names string
				want := 0
				d.ScanArgs(t, "want", &want)
				d.ScanArgs(t, "nodes", &names)
				tr = &transcript{names: strings.Split(names, ","), nodes: map[string]*node{}, last: map[string]Effect{}}
				for _, n := range tr.names {
					tr.nodes[n] = newNode(n)
				}
				m, err := New(testPlan(want, d.HasArg("partial"), tr.names...), leasetest.Key("alice"), new(counter))
				if err != nil {
					t.Fatal(err)
				}
				tr.m = m
			case "renew":
				m, err := NewRenewal(tr.record, epoch.Unix()+7200, lease.RSet{}, leasetest.Key("alice"), new(counter))
				if err != nil {
					t.Fatal(err)
				}
				tr.m = m
			case "stop":
				m, err := NewStop(tr.record, leasetest.Key("alice"))
				if err != nil {
					t.Fatal(err)
				}
				tr.m = m
			default:
				t.Fatalf("unknown command %s", d.Cmd)
			}
			tr.out.Reset()
			fmt.Fprintf(&tr.out, "          ")
			for _, n := range tr.names {
				fmt.Fprintf(&tr.out, "%-*s", column, n)
			}
			fmt.Fprintln(&tr.out)
			for line := range strings.Lines(d.Input) {
				if err := tr.play(strings.TrimSpace(line)); err != nil {
					d.Fatalf(t, "%v", err)
				}
			}
			lines := strings.Split(tr.out.String(), "\n")
			for i := range lines {
				lines[i] = strings.TrimRight(lines[i], " ")
			}
			return strings.Join(lines, "\n")
		})
	})
}
