// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Unit is what the value of a figure is in.
type Unit uint8

const (
	Number  Unit = iota // of something
	Share               // from 0 to 1; 99% is 0.99
	Seconds             // written as a duration
	Rate                // bytes per second
)

// String is the unit as reports write it; numbers of something have none.
func (u Unit) String() string { return [...]string{"", "share", "s", "B/s"}[u] }

// Figure is a thing that a run measures.
type Figure struct {
	Word  string
	Of    string          // what it wants the name of, if of anything; in brackets where it may go without
	Stats map[string]Unit // by statistic; empty: it holds or not
	What  string          // for people
}

func spread(u Unit) map[string]Unit {
	return map[string]Unit{"p50": u, "p90": u, "p95": u, "p99": u, "max": u, "mean": u}
}

func with(stats map[string]Unit, word string, u Unit) map[string]Unit {
	stats[word] = u
	return stats
}

// asked adds what finds are judged by: the share that had what there was, the median
// over that of a plain get, and the 95th percentile over the median.
func asked() map[string]Unit {
	return with(with(with(spread(Seconds), "success", Share), "ratio", Number), "tail", Number)
}

// Figures are all that can be expected.
var Figures = []Figure{
	{"safety", "", nil, "no invariant of leases was broken"},
	{"delivery", "", with(spread(Seconds), "share", Share), "from an offer's publication to each node's view"},
	{"latejoin", "", spread(Seconds), "from a node's joining to 99 % of the view"},
	{"duplicates", "", map[string]Unit{"mean": Number}, "copies of an offer that came to a node which had it"},
	{"known", "", spread(Number), "nodes in a node's view at the end"},
	{"degree", "", with(spread(Number), "honest", Number), "neighbours of a node in the mesh; of them, that keep the rules"},
	{"lookup", "", asked(), "a find by the index, from the question to the first match"},
	{"page", "", asked(), "the same to a page of 20 matches"},
	{"get", "", with(spread(Seconds), "success", Share), "a plain look-up of a record on the DHT"},
	{"detection", "", spread(Seconds), "from a node's death to its being left out by 99 of 100"},
	{"suspicions", "", map[string]Unit{"count": Number, "false": Number}, "that nodes told; of nodes that were there"},
	{"coordinate", "", spread(Number), "error of an estimated round-trip time, as a share of the time"},
	{"bytes", "", spread(Rate), "that a node sends"},
	{"topic", "", with(spread(Seconds), "share", Share), "from a sliver's saying something on a topic to each other sliver of its slice"},
	{"slice", "NAME", map[string]Unit{"running": Number, "time": Seconds}, "slivers that run; from the question to the last of them"},
	{"role", "ROLE", with(with(with(spread(Seconds), "success", Share), "share", Share), "lost", Number), "from an owner's question to a role to its answer; of answers, by slices; questions lost"},
	{"grants", "", map[string]Unit{"count": Number}, "leases that nodes granted"},
	{"refusals", "[CASE]", map[string]Unit{"share": Share, "count": Number}, "wishes that nodes refused"},
	{"utilisation", "[CASE]", map[string]Unit{"share": Share}, "of what is offered, that was leased"},
	{"served", "[CASE]", map[string]Unit{"share": Share}, "wishes that came to a lease"},
	{"law", "", map[string]Unit{"sigma": Number}, "how far trials are off the binomial law at the most, as improbable as so many standard deviations"},
	{"cpu", "", map[string]Unit{"share": Share}, "of a core, for each node and second played"},
	{"wall", "", map[string]Unit{"time": Seconds, "ratio": Number}, "that the run took; how many times that of the baseline"},
	{"memory", "", map[string]Unit{"max": Number}, "MB that the run had at most"},
	{"proofs", "", map[string]Unit{"count": Number, "accused": Number}, "broken promises that nodes proved; against how many"},
	{"equivocations", "", map[string]Unit{"count": Number}, "nodes that told two things at once, and were caught"},
}

// Op compares.
type Op string

var ops = []Op{"<=", ">=", "<", ">", "="}

// Holds reports whether got is as it should be.
func (o Op) Holds(got, want float64) bool {
	switch o {
	case "<=":
		return got <= want
	case ">=":
		return got >= want
	case "<":
		return got < want
	case ">":
		return got > want
	}
	return got == want
}

// Expect is what must come of a run.
type Expect struct {
	Figure string
	Of     string // as the figure wants
	Stat   string // empty: it must hold
	Op     Op
	Value  float64       // in Unit; seconds, bytes per second
	Since  time.Duration // not 0: Value is how many times what it was before then, it may be from then on
	Worlds []string      // in which it is expected; none: in all
	Line   int
}

// Unit returns the unit of the expected value.
func (e Expect) Unit() Unit {
	for _, f := range Figures {
		if f.Word == e.Figure {
			return f.Stats[e.Stat]
		}
	}
	return Number
}

func (e Expect) String() string {
	s := "expect " + e.Figure
	if e.Of != "" {
		s += " " + e.Of
	}
	switch {
	case e.Stat == "":
	case e.Since > 0:
		s += fmt.Sprintf(" %s %s %sx since %s", e.Stat, e.Op, Number.Format(e.Value), span(e.Since))
	default:
		s += fmt.Sprintf(" %s %s %s", e.Stat, e.Op, e.Unit().Format(e.Value))
	}
	if len(e.Worlds) > 0 {
		s += " in " + strings.Join(e.Worlds, ",")
	}
	return s
}

// Format prints a value in its unit, exactly.
func (u Unit) Format(v float64) string {
	switch u {
	case Seconds:
		return span(time.Duration(v * 1e9))
	case Rate:
		return strconv.FormatFloat(v, 'g', -1, 64) + "B/s"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// parse reads a value; the error says what was expected.
func (u Unit) parse(s string) (float64, error) {
	scale, number := 1.0, s
	switch u {
	case Seconds:
		d, err := duration(s)
		return d.Seconds(), err
	case Share:
		if rest, ok := strings.CutSuffix(s, "%"); ok {
			number, scale = rest, 0.01
		}
	case Rate:
		for _, unit := range []struct {
			name  string
			scale float64
		}{{"MB/s", 1e6}, {"kB/s", 1e3}, {"B/s", 1}} {
			if rest, ok := strings.CutSuffix(s, unit.name); ok {
				number, scale = rest, unit.scale
				break
			}
		}
		if number == s {
			return 0, fmt.Errorf("want a rate such as 20kB/s")
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || v != v || v < 0 || v > 1e15:
		return 0, fmt.Errorf("want %s", map[Unit]string{Number: "a number", Share: "a share such as 99%", Rate: "a rate such as 20kB/s"}[u])
	case u == Share && v*scale > 1:
		return 0, fmt.Errorf("want a share of at most 100%%")
	}
	if scale == 0.01 {
		return v / 100, nil
	}
	return v * scale, nil
}
