// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestJoin(t *testing.T) {
	load, err1 := parseSource("load=pulse@abc/load:node")
	rtt, err2 := parseSource("rtt=probe@abc/rtt:to")
	if err := errors.Join(err1, err2); err != nil || load.topic != "pulse@abc/load" || load.key != "node" || load.alias != "load" {
		t.Fatalf("%+v, %v", load, err)
	}
	put := func(s *source, key, line string) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		s.put(key, r)
	}
	put(load, "b", `{"node":"b","load":2,"name":"beta"}`)
	put(load, "a", `{"node":"a","load":9,"name":"alpha"}`)
	put(load, "a", `{"node":"a","load":1,"name":"alpha"}`)
	put(load, "c", `{"node":"c","load":1}`)
	put(rtt, "a", `{"to":"a","rtt_ms":12.5}`)
	put(rtt, "b", `{"to":"b","rtt_ms":80}`)
	for _, c := range []struct {
		where []string
		names string
	}{
		{nil, "alpha beta "},
		{[]string{"load.load<2"}, "alpha "},
		{[]string{"rtt.rtt_ms>=80"}, "beta "},
		{[]string{"rtt.rtt_ms>=80", "load.load<=1"}, ""},
		{[]string{"load.name!=alpha"}, "beta "},
		{[]string{"load.name = alpha"}, "alpha "},
		{[]string{"load.none!=1"}, ""}, // what is not said satisfies nothing
		{[]string{"load.load<many"}, ""},
	} {
		var where []condition
		for _, w := range c.where {
			one, err := parseCondition(w)
			if err != nil {
				t.Fatal(err)
			}
			where = append(where, one)
		}
		got := ""
		for _, r := range join([]*source{load, rtt}, time.Minute, where) {
			got += text(r["load.name"]) + " "
		}
		if got != c.names {
			t.Errorf("%q: %q, want %q", c.where, got, c.names)
		}
	}
	if rows := join([]*source{load, rtt}, 0, nil); len(rows) != 0 {
		t.Errorf("what is old is joined: %v", rows)
	}
	for _, bad := range []string{"", "load", "=x:y", "a=:y", "a=x:", "a=x"} {
		if _, err := parseSource(bad); !errors.Is(err, errSyntax) {
			t.Errorf("-from %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "load", "load<3", "a.b~c"} {
		if _, err := parseCondition(bad); !errors.Is(err, errSyntax) {
			t.Errorf("-where %q: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("load=pulse@abc/load:node")
	f.Add("load.load<=4")
	f.Fuzz(func(t *testing.T, s string) {
		if one, err := parseSource(s); err == nil && (one.alias == "" || one.topic == "" || one.key == "") {
			t.Errorf("%q: %+v", s, one)
		}
		if c, err := parseCondition(s); err == nil && c.op == "" {
			t.Errorf("%q: %+v", s, c)
		}
	})
}
