// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease"
	"croft/lease/leasetest"
)

// keeper does what a log says, on a disk that can be full.
type keeper struct {
	t     *testing.T
	log   *Log
	facts []Effect
	files map[uint64]int64 // bytes of closed segments
	open  uint64
	now   time.Time
	size  int64 // of a closed segment
	full  bool
	rows  uint64 // in the open segment
}

var testOptions = LogOptions{Node: leasetest.Who("n1"), Span: 5 * time.Minute, Rows: 1000, Retention: 30 * 24 * time.Hour, Budget: 10_000}

func newKeeper(t *testing.T) *keeper {
	return &keeper{t: t, log: NewLog(testOptions), files: map[uint64]int64{}, now: time.Unix(1_000_000, 0), size: 100}
}

// step gives an input and does all that is due, and says so.
func (k *keeper) step(in LogInput) string {
	var said strings.Builder
	for queue := []LogInput{in}; len(queue) > 0; {
		in := queue[0]
		queue = queue[1:]
		if again, err := ParseLogInput(in.String()); err != nil || !reflect.DeepEqual(again, in) {
			k.t.Fatalf("%s reads back as %v, %v", in, again, err)
		}
		effects := k.log.Step(k.now, in)
		for _, e := range effects {
			if again, err := ParseEffect(e.String()); err != nil || !reflect.DeepEqual(again, e) {
				k.t.Fatalf("%s reads back as %v, %v", e, again, err)
			}
		}
		for _, e := range effects {
			if _, told := e.(Publish); told || len(queue) == 0 {
				fmt.Fprintln(&said, brief(e))
				queue = append(queue, k.do(e)...)
			}
		}
	}
	return said.String()
}

// do carries one effect out, if the disk lets it.
func (k *keeper) do(e Effect) []LogInput {
	switch e := e.(type) {
	case Sign:
		h, err := SealHead(e.Head, leasetest.Key("n1"))
		if err != nil {
			k.t.Fatal(err)
		}
		return []LogInput{Signed{h}}
	case Publish:
		return nil
	case Drop:
		delete(k.files, e.Number)
		return []LogInput{Dropped{e.Number}}
	}
	if k.full {
		return nil
	}
	switch e := e.(type) {
	case Roll:
		k.open, k.rows = e.Number, 0
		return []LogInput{Rolled(e)}
	case Write:
		k.files[e.Number] = k.size
		return []LogInput{Written{k.segment(e.Number), k.size}}
	case Append:
		k.facts = append(k.facts, e)
		return []LogInput{Appended{e.Segment.Number}}
	case Keep:
		k.facts = append(k.facts, e)
		return []LogInput{Kept{e.Head.ID}}
	}
	panic(e)
}

func (k *keeper) segment(n uint64) Segment {
	at := k.now.UnixNano()
	return Segment{Number: n, From: at - int64(time.Minute), Until: at, Rows: 1, Leaves: 1, Root: lease.Digest{byte(n + 1)}}
}

// crash forgets all but what is durable.
func (k *keeper) crash() {
	k.log = NewLog(testOptions)
	for _, f := range k.facts {
		if err := k.log.Restore(f); err != nil {
			k.t.Fatal(err)
		}
	}
	for n := range k.open + 1 {
		if size, ok := k.files[n]; ok && n < k.log.Tree().Size() {
			k.log.Step(k.now, Held{k.segment(n), size})
		}
	}
	k.log.Step(k.now, Rolled{k.open})
	if k.rows > 0 {
		k.log.Step(k.now, Noted{k.rows})
	}
}

func brief(e Effect) string {
	switch e := e.(type) {
	case Append:
		return fmt.Sprintf("fact append segment=%d", e.Segment.Number)
	case Sign:
		return fmt.Sprintf("sign size=%d", e.Head.Size)
	case Keep:
		return fmt.Sprintf("fact keep size=%d", e.Head.Size)
	case Publish:
		return fmt.Sprintf("publish size=%d", e.Head.Size)
	}
	return e.String()
}

func TestLogTranscript(t *testing.T) {
	datadriven.RunTest(t, "testdata/log.txt", func(t *testing.T, d *datadriven.TestData) string { return transcripts(t, d) })
}

var transcripts = func() func(*testing.T, *datadriven.TestData) string {
	var k *keeper
	return func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "node":
			k = newKeeper(t)
			return ""
		case "full":
			k.full = true
			return ""
		case "room":
			k.full = false
			return k.step(Tick{})
		case "crash":
			k.crash()
			return k.step(Tick{})
		case "segments":
			d.ScanArgs(t, "bytes", &k.size)
			return ""
		case "after":
			pass, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			k.now = k.now.Add(pass)
			return k.step(Tick{})
		case "rows":
			var n uint64
			d.ScanArgs(t, "n", &n)
			k.rows += n
			return k.step(Noted{n})
		case "wake":
			at, ok := k.log.NextWake()
			return fmt.Sprintf("%v in %s\n", ok, at.Sub(k.now))
		}
		t.Fatalf("command %s", d.Cmd)
		return ""
	}
}()

func TestRestoreRefuses(t *testing.T) {
	k := newKeeper(t)
	k.step(Noted{1})
	k.now = k.now.Add(5 * time.Minute)
	k.step(Tick{})
	if len(k.facts) != 2 {
		t.Fatalf("facts: %v", k.facts)
	}
	other := k.facts[0].(Append)
	other.Segment.Rows = 0
	stranger := testOptions
	stranger.Node = leasetest.Who("n2")
	for name, c := range map[string]struct {
		opt   LogOptions
		facts []Effect
		want  error
	}{
		"a hole":             {testOptions, []Effect{k.facts[1]}, ErrLog},
		"twice":              {testOptions, []Effect{k.facts[0], k.facts[0]}, ErrLog},
		"a rewritten leaf":   {testOptions, []Effect{other, k.facts[1]}, ErrLog},
		"another node's log": {stranger, k.facts, ErrLog},
		"no fact":            {testOptions, []Effect{Roll{1}}, ErrField},
	} {
		l, err := NewLog(c.opt), error(nil)
		for _, f := range c.facts {
			err = errors.Join(err, l.Restore(f))
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzParseLogLine(f *testing.F) {
	k := keeper{}
	for _, line := range []string{"tick other=3", "noted rows=1", "rolled segment=4", "kept head=", "drop segment=1 early=true",
		Written{k.segment(1), 7}.String(), Append{k.segment(2)}.String(), "signed bytes=00"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if in, err := ParseLogInput(line); err == nil {
			if again, err := ParseLogInput(in.String()); err != nil || !reflect.DeepEqual(again, in) {
				t.Fatalf("%q reads back as %v, %v", line, again, err)
			}
		}
		if e, err := ParseEffect(line); err == nil {
			if again, err := ParseEffect(e.String()); err != nil || !reflect.DeepEqual(again, e) {
				t.Fatalf("%q reads back as %v, %v", line, again, err)
			}
		}
	})
}
