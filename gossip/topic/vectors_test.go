// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

// A vector is bytes that travel, in hex, and what a verifier must say of them.
type vector struct {
	Name       string `json:"name"`
	Note       string `json:"note"`
	Expect     string `json:"expect"`         // "ok" or a word of docs/protocol/topics.md
	Rule       string `json:"rule,omitempty"` // of that page: what is broken
	Message    string `json:"message,omitempty"`
	Attendance string `json:"attendance,omitempty"`
	At         int64  `json:"at,omitempty"`    // when an attendance is read, Unix seconds
	Shows      string `json:"shows,omitempty"` // where the verdict is ok
}

// judge says what the bytes show.
func (v vector) judge() (string, error) {
	b, err := hex.DecodeString(v.Message + v.Attendance)
	if err != nil {
		return "", err
	}
	if v.Message != "" {
		m, err := Open(b)
		place := m.Name().Place()
		return fmt.Sprintf("message id=%x on=%s place=%x", m.ID[:], m.Name(), place[:]), err
	}
	a, err := OpenAttendance(b, time.Unix(v.At, 0))
	return fmt.Sprintf("attendance node=%s place=%x addrs=%d", a.Node, a.Place[:], len(a.Addrs)), err
}

var rewrite = flag.Bool("rewrite", false, "write testdata/vectors anew")

func TestVectors(t *testing.T) {
	for _, v := range leasetest.Vectors(t, "testdata/vectors/topics.json", *rewrite, vectors(t)) {
		shown, err := v.judge()
		verdict := leasetest.Word(err)
		if verdict != v.Expect || err == nil && shown != v.Shows {
			t.Errorf("%s (%s): got %s %s (%v), want %s %s", v.Name, v.Note, verdict, shown, err, v.Expect, v.Shows)
		}
	}
}

func vectors(t testing.TB) (list []vector) {
	add := func(v vector) {
		if v.Expect == "ok" {
			var err error
			if v.Shows, err = v.judge(); err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
		}
		list = append(list, v)
	}
	seal := func(domain, by string, v any) []byte {
		s, err := lease.SealAs(domain, v, leasetest.Key(by))
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	message := func(name, expect, rule, note string, b []byte) {
		add(vector{Name: "message-" + name, Note: note, Expect: expect, Rule: rule, Message: hex.EncodeToString(b)})
	}
	edit := func(change func(*Message)) []byte {
		m := Message{Author: leasetest.Who("bob"), Owner: leasetest.Who("alice"), Slice: "web", Topic: "status", Made: leasetest.Epoch * 1000, Data: []byte("hello")}
		change(&m)
		return seal(Domain, "bob", m)
	}
	good := edit(func(*Message) {})
	message("sound", "ok", "", "", good)
	message("empty", "ok", "", "without data", edit(func(m *Message) { m.Data = nil }))
	message("full", "ok", "", "as much data and authority as may be", edit(func(m *Message) {
		m.Data, m.Authority = make([]byte, MaxData), make([]byte, lease.MaxAuthority)
	}))
	message("own", "ok", "", "the owner's", seal(Domain, "alice", Message{Author: leasetest.Who("alice"), Owner: leasetest.Who("alice"), Slice: "a", Topic: "b", Made: 1}))
	message("truncated", "malformed", "M1", "the last byte is missing", good[:len(good)-1])
	message("trailing", "malformed", "M1", "a byte after it", append(bytes.Clone(good), 0))
	message("text", "malformed", "M1", "no message", []byte("hello"))
	message("data-much", "too-big", "M1", "16,385 bytes of data", edit(func(m *Message) { m.Data = make([]byte, MaxData+1) }))
	message("authority-much", "too-big", "M1", "an authority of 9,233 bytes", edit(func(m *Message) { m.Authority = make([]byte, lease.MaxAuthority+1) }))
	message("oversize", "too-big", "M1", "a byte too many", make([]byte, MaxMessage+1))
	message("slice", "field", "M1", "a slice with a capital", edit(func(m *Message) { m.Slice = "Web" }))
	message("topic", "field", "M1", "no topic", edit(func(m *Message) { m.Topic = "" }))
	message("made-0", "field", "M1", "made in 1970", edit(func(m *Message) { m.Made = 0 }))
	message("made-far", "field", "M1", "made later than there is time", edit(func(m *Message) { m.Made = lastMade + 1 }))
	message("owner", "field", "M1", "no owner", edit(func(m *Message) { m.Owner = lease.Principal{} }))
	message("forged", "signature", "M2", "a bit of the signature", append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1))
	message("wrong-domain", "signature", "M2", "signed as a claim", seal(lease.Domain, "bob", Message{Author: leasetest.Who("bob"), Owner: leasetest.Who("alice"),
		Slice: "web", Topic: "status", Made: 1}))
	message("wrong-author", "signature", "M2", "bob's, signed by mallory", seal(Domain, "mallory", Message{Author: leasetest.Who("bob"), Owner: leasetest.Who("alice"),
		Slice: "web", Topic: "status", Made: 1}))

	attendance := func(name, expect, rule, note string, at int64, b []byte) {
		add(vector{Name: "attendance-" + name, Note: note, Expect: expect, Rule: rule, At: leasetest.Epoch + at, Attendance: hex.EncodeToString(b)})
	}
	attend := func(change func(*Attendance)) []byte {
		a := Attendance{Node: leasetest.Who("node"), Place: nameOf("alice", "web", "status").Place(), Made: leasetest.Epoch, Until: leasetest.Epoch + MaxAttendTerm,
			Addrs: [][]byte{{4, 192, 0, 2, 1, 6, 16, 225}}}
		change(&a)
		return seal(MeetingDomain, "node", a)
	}
	there := attend(func(*Attendance) {})
	attendance("sound", "ok", "", "", 0, there)
	attendance("bare", "ok", "", "without an address", 0, attend(func(a *Attendance) { a.Addrs = nil }))
	attendance("gone", "ok", "", "the node leaves", 0, attend(func(a *Attendance) { a.Until = a.Made }))
	attendance("last-second", "ok", "", "at until", MaxAttendTerm, there)
	attendance("over", "expired", "A1", "a second later", MaxAttendTerm+1, there)
	attendance("ahead", "ok", "", "the node's clock is 180 s ahead", -180, there)
	attendance("early", "early", "A1", "a second more", -181, there)
	attendance("long", "field", "A1", "601 s", 0, attend(func(a *Attendance) { a.Until++ }))
	attendance("backwards", "field", "A1", "over before it is made", 0, attend(func(a *Attendance) { a.Until = a.Made - 1 }))
	attendance("addresses", "field", "A1", "five addresses", 0, attend(func(a *Attendance) { a.Addrs = [][]byte{{1}, {2}, {3}, {4}, {5}} }))
	attendance("address-empty", "field", "A1", "an address of no bytes", 0, attend(func(a *Attendance) { a.Addrs = [][]byte{{}} }))
	attendance("address-long", "field", "A1", "an address of 129 bytes", 0, attend(func(a *Attendance) { a.Addrs = [][]byte{make([]byte, MaxAddr+1)} }))
	attendance("oversize", "too-big", "A1", "769 bytes", 0, make([]byte, MaxAttendance+1))
	attendance("forged", "signature", "A1", "a bit of the signature", 0, append(bytes.Clone(there[:len(there)-1]), there[len(there)-1]^1))
	attendance("truncated", "malformed", "A1", "the last byte is missing", 0, there[:len(there)-1])
	return list
}

// A verifier in another language, written from the page alone, agrees.
func TestSecondImplementation(t *testing.T) { leasetest.Agrees(t, "../..") }
