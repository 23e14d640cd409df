// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"croft/sim/scenario"
)

func read(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRecorder(t *testing.T) {
	r := NewRecorder("world", read(t, `nodes 5
at 1s slice ron nodes=2
expect delivery p50 <= 100ms
expect delivery max <= 100ms
expect slice ron running >= 2
expect bytes mean <= 1kB/s
expect latejoin p50 <= 1s
expect safety`))
	r.Safety = &Safety{Checks: 3}
	delivery, bytes, up := r.Measure("delivery", ""), r.Measure("bytes", ""), r.Gauge("nodes", "up")
	r.Measure("latejoin", "")
	up.Set(0, 4)
	up.Set(2500*time.Millisecond, 5)
	for i := range 100 {
		delivery.Add(time.Duration(i)*10*time.Millisecond, int64(50*time.Millisecond))
	}
	delivery.Add(1500*time.Millisecond, int64(200*time.Millisecond))
	bytes.Observe(2000)
	r.Counter("drops", "stale").Add(time.Second, 2)
	r.Counter("drops", "full").Add(time.Second, 1)
	r.Counter("bytes", "sent").Add(500*time.Millisecond, 4000)
	r.Slice(Slice{Name: "ron", Wanted: 2, Running: 2, Outcome: "running", Time: time.Second})
	got := r.Report(3*time.Second, false, "abc")

	want := map[string]bool{"delivery p50": true, "delivery max": false, "slice ron running": true, "bytes mean": false, "latejoin p50": false, "safety": true}
	for _, e := range got.Expects {
		what, _, _ := strings.Cut(strings.TrimPrefix(e.Expect, "expect "), " <=")
		what, _, _ = strings.Cut(what, " >=")
		if ok, is := want[what]; !is || ok != e.OK {
			t.Errorf("%+v", e)
		}
		delete(want, what)
	}
	if len(want) > 0 || got.OK() {
		t.Errorf("nobody judged %v", want)
	}
	if fmt.Sprint(got.Drops) != "[{full 1} {stale 2}]" || fmt.Sprint(got.Counts) != "[{nodes up 5} {bytes sent 4000}]" {
		t.Errorf("drops %v, counts %v", got.Drops, got.Counts)
	}
	if v, ok := got.Value("slice", "ron", "time"); !ok || v.Value != 1 || v.Unit != "s" {
		t.Errorf("%+v", v)
	}
	if b, err := json.Marshal(got); err != nil {
		t.Error(err)
	} else {
		var back Report
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(*got, back) {
			t.Errorf("%v: it reads back as\n%+v", err, back)
		}
	}
	courses := map[string]string{}
	for _, c := range got.Courses {
		b, _ := json.Marshal([]any{c.Values, c.Max})
		courses[c.Group+" "+c.Of] = string(b)
	}
	for name, want := range map[string]string{
		"delivery ":  "[[0.05,0.2,null],[0.05,0.2,null]]",
		"nodes up":   "[[4,4,5],null]",
		"bytes sent": "[[4000,0,0],null]",
		"drops full": "[[0,1,0],null]",
	} {
		if courses[name] != want {
			t.Errorf("%s: %s, want %s", name, courses[name], want)
		}
	}
}

// A part of a run is held against nothing, and passes for nothing.
func TestPartial(t *testing.T) {
	r := NewRecorder("world", read(t, "nodes 5\nexpect safety")).Report(time.Second, true, "")
	if r.OK() || len(r.Expects) > 0 || !r.Partial {
		t.Errorf("%+v", r)
	}
}

// What a world does not look at is not as expected.
func TestUnseen(t *testing.T) {
	r := NewRecorder("lab", read(t, "nodes 5\nexpect safety")).Report(time.Minute, false, "")
	if r.OK() || r.Expects[0].Got != "this world does not look at it" {
		t.Errorf("%+v", r.Expects)
	}
	r = NewRecorder("lab", read(t, "nodes 5\nhistory "+strings.Repeat("0", 64))).Report(time.Minute, false, "")
	if r.OK() {
		t.Error("no history passes for a replay")
	}
}

// However long a run is, a course has no more than MaxSlots slots, and nothing of
// what was counted is lost.
func TestCoursesAreBounded(t *testing.T) {
	r := NewRecorder("world", read(t, "nodes 5"))
	c, g, m := r.Counter("messages", "sent"), r.Gauge("nodes", "up"), r.Measure("delivery", "")
	const end = 10 * time.Hour
	total := 0
	for at := time.Duration(0); at < end; at += 7 * time.Second {
		c.Add(at, 1)
		g.Set(at, at.Seconds())
		m.Add(at, int64(at))
		total++
	}
	for _, c := range r.Report(end, false, "").Courses {
		if len(c.Values) > MaxSlots || time.Duration(len(c.Values))*c.Every < end {
			t.Errorf("%s: %d slots of %s", c.Group, len(c.Values), c.Every)
		}
		sum := 0.0
		for i, v := range c.Values {
			begin, long := time.Duration(i)*c.Every, min(c.Every, end-time.Duration(i)*c.Every)
			switch c.Kind {
			case Rates:
				sum += *v * long.Seconds()
			case Levels:
				if *v < begin.Seconds() || *v > (begin+long).Seconds() {
					t.Fatalf("at %s it is %v", begin, *v)
				}
			case Samples:
				if *v < begin.Seconds() || *v > *c.Max[i] || *c.Max[i] > (begin+long).Seconds()*1.001 {
					t.Fatalf("at %s the mean is %v, the most %v", begin, *v, *c.Max[i])
				}
			}
		}
		if c.Kind == Rates && (sum < float64(total)*0.999 || sum > float64(total)*1.001) {
			t.Errorf("%v in all, want %d", sum, total)
		}
	}
}

// A group takes so many names; what is past them is counted under one.
func TestGroupsAreBounded(t *testing.T) {
	r := NewRecorder("world", read(t, "nodes 5"))
	r.Safety = &Safety{}
	for i := range 10 * maxHandles {
		r.Counter("drops", fmt.Sprint("reason ", i)).Add(0, 1)
		r.Breach(Breach{Node: i})
	}
	got := r.Report(time.Second, false, "")
	sum := uint64(0)
	for _, d := range got.Drops {
		sum += d.Count
	}
	if len(got.Drops) != maxHandles+1 || sum != 10*maxHandles || r.Total("drops") != sum {
		t.Errorf("%d reasons of %d drops", len(got.Drops), sum)
	}
	if len(got.Safety.Breaches) != maxBreaches || got.Safety.More != 9*maxHandles+maxHandles-maxBreaches {
		t.Errorf("%d breaches and %d", len(got.Safety.Breaches), got.Safety.More)
	}
}

func TestPer(t *testing.T) {
	half := func(v float64) *float64 { return &v }
	c := Course{Every: time.Second, Values: []*float64{half(6), half(6), nil}}
	d := c.Per(Course{Every: time.Second, Values: []*float64{half(3), half(0), half(1)}})
	if *d.Values[0] != 2 || d.Values[1] != nil || d.Values[2] != nil {
		t.Errorf("%v", d.Values)
	}
}
