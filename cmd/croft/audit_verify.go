// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease"
)

func (a *app) auditVerify() *cobra.Command {
	var witnessed []string
	c := &cobra.Command{
		Use: "verify FILE|-", Short: "Check an answer or proof offline, with no daemon and no key", Args: cobra.ExactArgs(1),
		Long: `Check what ` + "`croft audit who -o`" + ` wrote, or any proof of the audit log, by itself: signatures,
paths from rows to signed heads, that the rows show what the nodes assert, what witnesses
saw of the logs, and that no two of it are of different logs. Each thing that was checked
is a line. Exit code 1 says that something does not hold, or accuses a node.
--witnessed brings more that witnesses said, kept from another time or by somebody else.`,
		Example: "  croft audit who 198.51.100.7:20117 203.0.113.9:443 --wait -o answer.crofttext\n  croft audit verify answer.crofttext",
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := a.readDossier(args[0])
			if err != nil {
				return err
			}
			for _, path := range witnessed {
				more, err := a.readDossier(path)
				if err != nil {
					return err
				}
				d.Proofs, d.Words = append(d.Proofs, more.Proofs...), append(d.Words, more.Words...)
			}
			j := d.Judge()
			v := judgementOf(j)
			if err := a.print(v, func(w io.Writer) {
				for _, l := range v.Lines {
					fmt.Fprintln(w, l)
				}
			}); err != nil {
				return err
			}
			switch {
			case len(v.Accused) > 0:
				return &failure{code: exitFailed, reason: "fork", err: fmt.Errorf("node %s has signed two logs", strings.Join(v.Accused, ", "))}
			case !j.Holds():
				return &failure{code: exitFailed, reason: v.reason, err: errors.New("it does not hold")}
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&witnessed, "witnessed", nil, "a file with more words of witnesses, or proofs; may be repeated")
	return c
}

// readDossier reads one from a file or, for "-", from standard input.
func (a *app) readDossier(path string) (audit.Dossier, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return audit.Dossier{}, usage("a file that `croft audit who -o` wrote, or -", "no file %q", path)
		}
		if err != nil {
			return audit.Dossier{}, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, audit.MaxProofText+1))
	if err != nil {
		return audit.Dossier{}, fmt.Errorf("reading an answer: %w", err)
	}
	d, err := audit.ParseDossier(b)
	if err != nil {
		return d, &failure{code: exitFailed, err: fmt.Errorf("proves nothing (%s): %w", audit.Code(err), err), reason: audit.Code(err)}
	}
	return d, nil
}

// judgement is what a dossier shows, as programs and people read it.
type judgement struct {
	Holds     bool     `json:"holds"`
	Verdict   string   `json:"verdict,omitempty"`
	Slices    []string `json:"slices,omitempty"`
	Shown     []string `json:"shown" doc:"those of them that proofs show"`
	Witnesses int      `json:"witnesses" doc:"whose heads are tied to the proofs"`
	Accused   []string `json:"accused,omitempty"`
	Lines     []string `json:"lines"`
	reason    string
}

// judgementOf draws it, a line for each thing that was checked.
func judgementOf(j audit.Judgement) judgement {
	v := judgement{Holds: j.Holds(), Shown: []string{}, Lines: []string{}}
	say := func(ok bool, depth int, format string, args ...any) {
		mark := "✓"
		if !ok {
			mark = "✗"
		}
		v.Lines = append(v.Lines, mark+" "+strings.Repeat("  ", depth)+printable(fmt.Sprintf(format, args...)))
	}
	note := func(depth int, format string, args ...any) {
		v.Lines = append(v.Lines, "· "+strings.Repeat("  ", depth)+printable(fmt.Sprintf(format, args...)))
	}
	for _, an := range j.Answers {
		q := an.Question()
		from, until := q.Window()
		note(0, "asked: who sent %s -> %s, %s to %s", q.Src, q.Dst, nanoTime(from), nanoTime(until))
		say(true, 0, "node %s signed its answer at %s: %s%s", an.Node, nanoTime(an.Made), audit.Combine([]audit.Assertion{an.Assertion}),
			named(an.Slices))
		note(1, "that %s is this node's address is its own word and its neighbours'", q.Src.Addr())
		for _, s := range an.Found.Slices {
			v.Shown = append(v.Shown, s)
			say(true, 1, "%s is shown by what the node committed to, below", s)
		}
		for _, s := range an.Unshown {
			if an.Pending != 0 {
				note(1, "%s is not committed to yet; ask again after %s", s, nanoTime(an.Pending))
			} else {
				note(1, "%s is asserted, and no row here shows it", s)
			}
		}
		for _, s := range an.Unsaid {
			say(false, 1, "%s fits by the node's own rows, and its answer leaves it out", s)
		}
		if an.Cut {
			note(1, "there is more than the answer holds")
		}
	}
	for _, p := range j.Proofs {
		v.proof(p, say)
	}
	for _, w := range j.Words {
		v.word(w, say, note)
	}
	for _, f := range j.Forks {
		if s, err := f.Verify(); err == nil {
			v.accuse(s, say)
		}
	}
	if len(j.Answers) > 0 {
		all := j.Verdict()
		v.Verdict, v.Slices = all.String(), all.Slices
		note(0, "verdict: %s%s; witnesses: %d", all, named(all.Slices), v.Witnesses)
	}
	return v
}

func (v *judgement) proof(p audit.JudgedProof, say func(bool, int, string, ...any)) {
	s := p.Shown
	switch {
	case p.Err != nil:
		v.reason = audit.Code(p.Err)
		say(false, 0, "proof of %s shows nothing (%s): %v", p.Proof.Kind(), v.reason, p.Err)
	case s.Kind == audit.ProofConsistency:
		say(true, 0, "node %s: the log under its head of %d goes on from that of %d, unchanged", s.Head.Node.Short(), s.Next.Size, s.Head.Size)
	case s.Kind == audit.ProofFork:
		v.accuse(s, say)
	default:
		say(true, 0, "node %s signed a head of %d segments at %s", s.Head.Node.Short(), s.Head.Size, nanoTime(s.Head.At))
		say(true, 1, "segment %d, %s to %s, is in its log", s.Segment.Number, nanoTime(s.Segment.From), nanoTime(s.Segment.Until))
		for _, r := range s.Rows {
			say(true, 2, "row: sliver %s %s %s %s -> %s, %d packets, %d bytes, %s to %s", r.Sliver, way(r.Direction), protoText(r.Proto), r.Src, r.Dst,
				r.Packets, r.Bytes, nanoTime(r.First), nanoTime(r.Last))
		}
		for _, t := range s.Tenures {
			say(true, 2, "tenure: sliver %s of %s held source ports %d to %d from %s%s", t.Sliver, t.Slice, t.First, t.Last, nanoTime(t.From), untilText(t.Until))
		}
		for _, e := range s.Epochs {
			say(true, 2, "%s", e)
		}
		for _, al := range s.Alarms {
			say(true, 2, "%s", al)
		}
	}
}

func (v *judgement) word(w audit.JudgedWord, say func(bool, int, string, ...any), note func(int, string, ...any)) {
	say(true, 0, "witness %s had a head of %d segments of node %s at %s, and followed its log from %d on", w.Witness.Short(), w.Head.Size,
		w.Head.Node.Short(), nanoTime(w.At), w.First)
	switch {
	case !w.Joined:
		note(1, "nothing here ties that head to the proofs above")
	case len(w.Covers) > 0:
		v.Witnesses++
		say(true, 1, "it is of the same log, and has segments %v in it: they were not written later", w.Covers)
	default:
		v.Witnesses++
		say(true, 1, "it is of the same log, at an earlier time: what was before is unchanged")
	}
}

func (v *judgement) accuse(s audit.Shown, say func(bool, int, string, ...any)) {
	say(false, 0, "node %s signed two logs: a head of %d segments at %s, and one of %d at %s, which does not go on from it", s.Head.Node,
		s.Head.Size, nanoTime(s.Head.At), s.Next.Size, nanoTime(s.Next.At))
	for _, a := range v.Accused {
		if a == s.Head.Node.String() {
			return
		}
	}
	v.Accused = append(v.Accused, s.Head.Node.String())
}

// printable keeps what a stranger signed from talking to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func named(slices []string) string {
	if len(slices) == 0 {
		return ""
	}
	return ": " + strings.Join(slices, ", ")
}

// nanoTime prints Unix nanoseconds, in UTC: answers travel.
func nanoTime(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05.999Z") }

func untilText(ns int64) string {
	if ns == 0 {
		return ""
	}
	return " until " + nanoTime(ns)
}

func way(d ebpf.Direction) string {
	if d == ebpf.Ingress {
		return "in"
	}
	return "out"
}

func protoText(p uint8) string {
	switch p {
	case uint8(lease.TCP):
		return "tcp"
	case uint8(lease.UDP):
		return "udp"
	}
	return fmt.Sprintf("proto %d", p)
}
