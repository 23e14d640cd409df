// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"croft/lease"
	"croft/sandbox"
)

func TestSpecCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*sandbox.Spec)
		want   error
	}{
		"sound":           {func(*sandbox.Spec) {}, nil},
		"no sliver":       {func(s *sandbox.Spec) { s.Sliver = "" }, sandbox.ErrSpec},
		"path as sliver":  {func(s *sandbox.Spec) { s.Sliver = "../x" }, sandbox.ErrSpec},
		"host name":       {func(s *sandbox.Spec) { s.Hostname = "a b" }, sandbox.ErrSpec},
		"place":           {func(s *sandbox.Spec) { s.Place = sandbox.MaxPlaces }, sandbox.ErrSpec},
		"negative place":  {func(s *sandbox.Spec) { s.Place = -1 }, sandbox.ErrSpec},
		"relative netns":  {func(s *sandbox.Spec) { s.NetNS = "x" }, sandbox.ErrSpec},
		"relative door":   {func(s *sandbox.Spec) { s.Door = "door" }, sandbox.ErrSpec},
		"no deadline":     {func(s *sandbox.Spec) { s.Deadline = 0 }, sandbox.ErrSpec},
		"restart":         {func(s *sandbox.Spec) { s.Restart.When = "maybe" }, sandbox.ErrSpec},
		"slice":           {func(s *sandbox.Spec) { s.Slice = "a\nb" }, sandbox.ErrSpec},
		"no memory":       {func(s *sandbox.Spec) { s.RSet[lease.Memory] = 0 }, sandbox.ErrSpec},
		"memory overflow": {func(s *sandbox.Spec) { s.RSet[lease.Memory] = 1 << 63 }, sandbox.ErrSpec},
		"no cpu":          {func(s *sandbox.Spec) { s.RSet[lease.CPU] = 0 }, sandbox.ErrSpec},
		"tiny disk":       {func(s *sandbox.Spec) { s.RSet[lease.Disk] = 1 }, sandbox.ErrSpec},
		"no disk":         {func(s *sandbox.Spec) { s.RSet[lease.Disk] = 0 }, nil},
		"kind":            {func(s *sandbox.Spec) { s.Program.Kind = "vm" }, sandbox.ErrProgram},
		"no blob":         {func(s *sandbox.Spec) { s.Program.Blob = lease.Digest{} }, sandbox.ErrProgram},
		"no args":         {func(s *sandbox.Spec) { s.Program.Args = nil }, sandbox.ErrProgram},
		"binary ..":       {func(s *sandbox.Spec) { s.Program.Args = []string{".."} }, sandbox.ErrProgram},
		"relative cwd":    {func(s *sandbox.Spec) { s.Program.Cwd = "x" }, sandbox.ErrProgram},
		"zero byte":       {func(s *sandbox.Spec) { s.Program.Args = []string{"a\x00b"} }, sandbox.ErrProgram},
		"bad variable":    {func(s *sandbox.Spec) { s.Program.Env = []string{"=x"} }, sandbox.ErrProgram},
		"long word":       {func(s *sandbox.Spec) { s.Program.Env = []string{"A=" + strings.Repeat("x", sandbox.MaxWord)} }, sandbox.ErrProgram},
		"many words":      {func(s *sandbox.Spec) { s.Program.Args = make([]string, sandbox.MaxArgs+1); s.Program.Args[0] = "x" }, sandbox.ErrProgram},
	} {
		s := someSpec(t)
		c.change(&s)
		if err := s.Check(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A spec is journaled and handed to the warden as JSON: nothing may get lost.
func TestSpecJSON(t *testing.T) {
	s := someSpec(t)
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back sandbox.Spec
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(s, back) {
		t.Errorf("%s\n%v\n%+v\n%+v", b, err, s, back)
	}
}

func TestRestartPolicy(t *testing.T) {
	for _, c := range []struct {
		p          sandbox.RestartPolicy
		exit, done int
		want       bool
	}{
		{sandbox.RestartPolicy{}, 1, 0, false},
		{sandbox.RestartPolicy{When: sandbox.OnFailure}, 0, 0, false},
		{sandbox.RestartPolicy{When: sandbox.OnFailure}, 1, 0, true},
		{sandbox.RestartPolicy{When: sandbox.Always}, 0, 5, true},
		{sandbox.RestartPolicy{When: sandbox.Always, Max: 2}, 0, 2, false},
		{sandbox.RestartPolicy{When: sandbox.Always, Max: 1 << 30}, 0, sandbox.MaxRestarts, false},
	} {
		if got := c.p.Again(c.exit, c.done); got != c.want {
			t.Errorf("%+v after exit %d and %d restarts: %v", c.p, c.exit, c.done, got)
		}
	}
	last := sandbox.Pause(0)
	for n := 1; n < 200; n++ {
		if p := sandbox.Pause(n); p < last || p > sandbox.MaxPause {
			t.Fatalf("pause %d is %v after %v", n, p, last)
		} else {
			last = p
		}
	}
	if last != sandbox.MaxPause {
		t.Errorf("the last pause is %v", last)
	}
}
