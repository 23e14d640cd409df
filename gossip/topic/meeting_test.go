// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"croft/lease/leasetest"
)

var (
	status = nameOf("alice", "web", "status")
	here   = netip.MustParsePrefix("192.0.2.0/24")
)

func network(i int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("203.0.%d.0/24", i)) }

// attends is what a node says at a time, until then; 0 leaves.
func attends(t *testing.T, node string, at time.Time, term int64) []byte {
	t.Helper()
	b, err := SealAttendance(Attendance{Node: leasetest.Who(node), Place: status.Place(), Made: at.Unix(), Until: at.Unix() + term}, leasetest.Key(node))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// met is how many others are told to one who attends.
func met(t *testing.T, m *Meeting, now time.Time, b []byte, from netip.Prefix) int {
	t.Helper()
	others, err := m.Attend(now, b, from)
	if err != nil {
		t.Fatal(err)
	}
	return len(others.Others)
}

func TestSubscribersMeet(t *testing.T) {
	m := NewMeeting(0)
	for i, node := range []string{"a", "b", "c"} {
		if n := met(t, m, noon, attends(t, node, noon, 60), here); n != i {
			t.Errorf("%s met %d, want %d", node, n, i)
		}
	}
	later := noon.Add(30 * time.Second)
	if n := met(t, m, later, attends(t, "a", later, 60), here); n != 2 {
		t.Errorf("a came again and met %d", n)
	}
	if n := met(t, m, later, attends(t, "b", later, 0), here); n != 2 {
		t.Errorf("b left and was told %d", n)
	}
	if n := met(t, m, later, attends(t, "d", later, 60), here); n != 2 {
		t.Errorf("d met %d: b has left", n)
	}
	over := noon.Add(61 * time.Second)
	if n := met(t, m, over, attends(t, "e", over, 1), here); n != 2 {
		t.Errorf("e met %d: c's term is over", n)
	}
	end := over.Add(time.Hour)
	if met(t, m, end, attends(t, "f", end, 0), here); m.Places() != 0 {
		t.Errorf("%d places where nobody is", m.Places())
	}
	for _, b := range [][]byte{nil, []byte("hello"), attends(t, "a", noon, MaxAttendTerm+1)} {
		if _, err := m.Attend(noon, b, here); err == nil {
			t.Errorf("%d bytes are an attendance", len(b))
		}
	}
}

// One network has its share of a place, and a full place is no place of one network.
func TestAPlaceIsShared(t *testing.T) {
	m := NewMeeting(0)
	for i := range 2 * perNetwork {
		met(t, m, noon, attends(t, fmt.Sprint("crowd", i), noon, 60), here)
	}
	if n := met(t, m, noon, attends(t, "seeker", noon, 60), network(0)); n != perNetwork {
		t.Errorf("%d of one network are there, want %d", n, perNetwork)
	}
	for i := range MaxMet {
		met(t, m, noon, attends(t, fmt.Sprint("other", i), noon, 60), network(1+i))
	}
	now := noon.Add(time.Second)
	if n := met(t, m, now, attends(t, "last", now, 0), network(99)); n > MaxMet {
		t.Errorf("%d are there, limit %d", n, MaxMet)
	}
	if left := len(m.places[status.Place()]); left != MaxMet {
		t.Errorf("%d are there, want %d", left, MaxMet)
	}
	of := map[netip.Prefix]int{}
	for _, a := range m.places[status.Place()] {
		of[a.network]++
	}
	if of[here] > 3 {
		t.Errorf("%d of the crowd stayed", of[here])
	}
}

// What a subscriber said anybody has; who says it again, from a network that has its
// share, moves nobody.
func TestRepeatingMovesNobody(t *testing.T) {
	m := NewMeeting(0)
	honest := attends(t, "honest", noon, 60)
	met(t, m, noon, honest, network(1))
	for i := range perNetwork {
		met(t, m, noon, attends(t, fmt.Sprint("mallory", i), noon, 60), here)
	}
	met(t, m, noon, honest, here)
	if n := met(t, m, noon, attends(t, "seeker", noon, 0), network(2)); n != 1+perNetwork {
		t.Errorf("%d are met, want %d", n, 1+perNetwork)
	}
}
