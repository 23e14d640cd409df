// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// reader is a parse under way.
type reader struct {
	Scenario
	lines    map[string]int // where each of those that may stand once was
	mistakes Mistakes
	width    int // the column after the line that is read
	trials   int // that there are, with mistakes or not
}

// Parse reads a scenario. The error is [Mistakes].
func Parse(text string) (*Scenario, error) {
	r := &reader{lines: map[string]int{}}
	r.set(&r.Join, nil, 0) // the defaults
	switch lines := strings.Split(text, "\n"); {
	case len(text) > MaxFile:
		r.say(0, 0, fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("want at most %d", MaxFile))
	case len(lines) > MaxLines:
		r.say(0, 0, fmt.Sprintf("%d lines", len(lines)), fmt.Sprintf("want at most %d", MaxLines))
	case !utf8.ValidString(text):
		r.say(0, 0, "this is no text", "want UTF-8")
	default:
		for i, line := range lines {
			r.line(i+1, line)
		}
		r.check()
	}
	if len(r.mistakes) > 0 {
		slices.SortStableFunc(r.mistakes, func(a, b Mistake) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
		return nil, r.mistakes
	}
	return &r.Scenario, nil
}

// say keeps a mistake, as many as are told.
func (r *reader) say(line, column int, text, want string) {
	if len(r.mistakes) < MaxMistakes {
		r.mistakes = append(r.mistakes, Mistake{line, column, text, want})
	}
}

func (r *reader) line(n int, text string) {
	list, mistake := words(text)
	if mistake != nil {
		r.say(n, mistake.Column, mistake.Text, mistake.Want)
		return
	}
	if len(list) == 0 {
		return
	}
	r.width = utf8.RuneCountInString(strings.TrimRight(text, " \t\r")) + 1
	command, rest := list[0], list[1:]
	switch name := command.value; {
	case command.key != "" || command.quoted:
		r.say(n, command.column, "a line begins with a command", "want one of "+strings.Join(r.commands(), " "))
		return
	case r.trial(n, name, rest):
		return
	case name == "at":
		r.at(n, rest)
		return
	case name == "expect":
		r.expect(n, rest)
		return
	case r.lines[name] > 0:
		r.say(n, command.column, fmt.Sprintf("%s stands in line %d already", name, r.lines[name]), "")
		return
	}
	r.lines[command.value] = n
	switch command.value {
	case "nodes":
		r.set(&r.Nodes, rest, n)
		if want := few(r.Nodes.Count); want != "" {
			column := r.width
			if len(rest) > 0 {
				column = rest[0].column
			}
			r.say(n, column, fmt.Sprintf("%d nodes", r.Nodes.Count), want)
		}
	case "join":
		r.Join = Join{}
		r.set(&r.Join, rest, n)
	case "seed":
		if w, ok := r.one(n, rest, "seed NUMBER"); ok {
			var err error
			if r.Seed, err = strconv.ParseUint(w.value, 10, 64); err != nil {
				r.say(n, w.column, "seed is "+shown(w.value), "want a whole number from 0 to 18446744073709551615")
			}
		}
	case "end":
		if w, ok := r.one(n, rest, "end TIME"); ok {
			r.End = r.time(n, w)
		}
	case "history":
		if w, ok := r.one(n, rest, "history HASH"); ok {
			if b, err := hex.DecodeString(w.value); err != nil || len(b) != 32 || hex.EncodeToString(b) != w.value {
				r.say(n, w.column, "history is "+shown(w.value), "want 64 digits of 0-9 and a-f")
			}
			r.History = w.value
		}
	default:
		delete(r.lines, command.value)
		r.say(n, command.column, "unknown command "+shown(command.value), meant(command.value, r.commands()))
	}
}

// one is a command with one word after it.
func (r *reader) one(n int, rest []word, usage string) (word, bool) {
	if len(rest) != 1 || rest[0].key != "" {
		column := r.width
		if len(rest) > 0 {
			column = rest[0].column
		}
		r.say(n, column, "this is not how it is written", "want "+usage)
		return word{}, false
	}
	return rest[0], true
}

func (r *reader) time(n int, w word) time.Duration {
	d, err := duration(w.value)
	if err != nil {
		r.say(n, w.inner, "time is "+shown(w.value), err.Error())
	}
	return d
}

// at reads a step.
func (r *reader) at(n int, rest []word) {
	if len(rest) < 2 || rest[0].key != "" || rest[1].key != "" {
		r.say(n, r.width, "a step has a time and an action", "want at TIME ACTION, such as at 2m slice ron nodes=3")
		return
	}
	s := Step{At: r.time(n, rest[0]), Line: n}
	makers, what, rest := actions, "action", rest[1:]
	if rest[0].value == "fault" {
		makers, what, rest = faults, "fault", rest[1:]
		if len(rest) == 0 || rest[0].key != "" {
			r.say(n, r.width, "a fault has a kind", "want one of "+strings.Join(names(faults), " "))
			return
		}
	}
	for _, make := range makers {
		if do := make(); do.word() == rest[0].value {
			before := len(r.mistakes)
			r.set(do, rest[1:], n)
			s.Do = do
			if len(r.mistakes) == before {
				r.Steps = append(r.Steps, s)
			}
			return
		}
	}
	known := names(makers)
	if what == "action" {
		known = append(known, "fault")
	}
	r.say(n, rest[0].column, "unknown "+what+" "+shown(rest[0].value), meant(rest[0].value, known))
}

func names(makers []func() Action) (list []string) {
	for _, make := range makers {
		list = append(list, make().word())
	}
	return list
}

// expect reads an expectation.
func (r *reader) expect(n int, rest []word) {
	var known []string
	for _, f := range Figures {
		known = append(known, f.Word)
	}
	for _, w := range rest {
		if w.key != "" || w.quoted {
			r.say(n, w.column, "an expectation has no keys", "want expect FIGURE STATISTIC OPERATOR VALUE, with blanks between")
			return
		}
	}
	if len(rest) == 0 {
		r.say(n, r.width, "what is expected?", "want one of "+strings.Join(known, " "))
		return
	}
	rest, worlds, ok := r.in(n, rest)
	if !ok {
		return
	}
	for _, f := range Figures {
		if f.Word == rest[0].value {
			r.figure(n, f, worlds, rest[1:])
			return
		}
	}
	r.say(n, rest[0].column, "unknown figure "+shown(rest[0].value), meant(rest[0].value, known))
}

func (r *reader) figure(n int, f Figure, worlds []string, rest []word) {
	e := Expect{Figure: f.Word, Worlds: worlds, Line: n}
	usage := "expect " + f.Word
	if f.Of != "" {
		usage += " " + f.Of
	}
	var stats []string
	for _, s := range []string{"p50", "p90", "p95", "p99", "max", "mean", "share", "success", "running", "time", "count", "false", "ratio", "tail", "sigma", "honest", "accused", "lost"} {
		if _, ok := f.Stats[s]; ok {
			stats = append(stats, s)
		}
	}
	if optional := strings.HasPrefix(f.Of, "["); f.Of != "" && len(rest) > 0 && (!optional || len(rest) == 4) {
		e.Of = rest[0].value
		if want := text("label", e.Of); want != "" {
			r.say(n, rest[0].column, strings.Trim(f.Of, "[]")+" is "+shown(e.Of), want)
			return
		}
		rest = rest[1:]
	}
	if len(stats) == 0 {
		if len(rest) > 0 {
			r.say(n, rest[0].column, f.Word+" holds or does not", "want "+usage)
			return
		}
		r.Expects = append(r.Expects, e)
		return
	}
	if len(rest) != 3 && len(rest) != 5 {
		r.say(n, r.width, "this is not how it is written", fmt.Sprintf("want %s %s <= VALUE", usage, strings.Join(stats, "|")))
		return
	}
	unit, ok := f.Stats[rest[0].value]
	if !ok {
		r.say(n, rest[0].column, f.Word+" has no "+shown(rest[0].value), meant(rest[0].value, stats))
		return
	}
	e.Stat, e.Op = rest[0].value, Op(rest[1].value)
	known := false
	for _, op := range ops {
		known = known || op == e.Op
	}
	if !known {
		r.say(n, rest[1].column, "unknown operator "+shown(rest[1].value), "want one of <= >= < > =")
		return
	}
	if len(rest) == 5 || strings.HasSuffix(rest[2].value, "x") {
		if r.since(n, &e, rest[2], rest[3:]) {
			r.Expects = append(r.Expects, e)
		}
		return
	}
	var err error
	if e.Value, err = unit.parse(rest[2].value); err != nil {
		r.say(n, rest[2].column, fmt.Sprintf("%s %s is %s", e.Figure, e.Stat, shown(rest[2].value)), err.Error())
		return
	}
	r.Expects = append(r.Expects, e)
}
