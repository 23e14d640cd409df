// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// onSlice is what a vector of slices.json has beside what all vectors have.
type onSlice struct {
	Record    string     `json:"record,omitempty"`    // a slice record, in hex as all but what is within of and deed
	Of        *sliceName `json:"of,omitempty"`        // whose record was asked for
	At        int64      `json:"at,omitempty"`        // when the record is read
	Known     string     `json:"known,omitempty"`     // the record known before; id is then of the one that counts
	Authority string     `json:"authority,omitempty"` // for a deed, or for an end
	Deed      *deed      `json:"deed,omitempty"`
	Publish   *publish   `json:"publish,omitempty"` // what the record is asked to let
}

type publish struct {
	By    lease.Principal `json:"by"`
	Topic string          `json:"topic"`
}

type sliceName struct {
	Owner lease.Principal `json:"owner"`
	Slice string          `json:"slice"`
}

type deed struct {
	By    lease.Principal `json:"by"`
	Owner lease.Principal `json:"owner"`
	Slice string          `json:"slice"`
	Any   uint16          `json:"any"`
	At    int64           `json:"at"`
	Until int64           `json:"until"`
}

func (v vector) judgeRecord() (lease.ID, error) {
	r, err := lease.OpenSlice(unhex(v.Record))
	if err != nil {
		return lease.ID{}, err
	}
	if v.Of != nil {
		if err := r.IsOf(v.Of.Owner, v.Of.Slice); err != nil {
			return lease.ID{}, err
		}
	}
	if v.At != 0 && !r.Holds(v.At) {
		return lease.ID{}, lease.ErrLapsed
	}
	if p := v.Publish; p != nil {
		return r.ID, r.MayPublish(p.Topic, p.By)
	}
	if v.Known != "" {
		known, err := lease.OpenSlice(unhex(v.Known))
		if err == nil {
			err = r.IsOf(known.Owner, known.Slice)
		}
		if err != nil {
			return lease.ID{}, err
		}
		if !r.Newer(known) {
			return known.ID, nil
		}
	}
	return r.ID, nil
}

func (v vector) judgeAuthority() (lease.ID, error) {
	a, err := lease.OpenAuthority(unhex(v.Authority))
	if err != nil {
		return lease.ID{}, err
	}
	if d := v.Deed; d != nil {
		return a.ID, a.Allows(lease.Deed{By: d.By, Owner: d.Owner, Slice: d.Slice, Any: lease.Verbs(d.Any), At: d.At, Until: d.Until})
	}
	claim, err := lease.Open(unhex(v.Claim))
	if err != nil {
		return lease.ID{}, fmt.Errorf("vector's claim: %v", err)
	}
	end, err := lease.VerifyGrantedEnd(claim, unhex(v.End), a)
	return end.ID, err
}

func sliceVectors(t testing.TB) []vector {
	return slices.Concat(recordVectors(t), topicVectors(t), pairVectors(t), grantVectors(t), grantedEndVectors(t))
}

// recordVectors are records by themselves: rules R1, R2 and R4.
func recordVectors(t testing.TB) (list []vector) {
	sound := lease.SliceRecord{Owner: who("alice"), Slice: "web", Sequence: 1, Made: leasetest.Epoch, Until: leasetest.Epoch + 3600,
		Grants: []lease.ID{{1}, {2}}, Nodes: []lease.Principal{{3}, {4}}}
	add := func(name, expect, rule, note string, b []byte) *vector {
		v := vector{Name: "record-" + name, Note: note, Expect: expect, Rule: rule, onSlice: onSlice{Record: hex.EncodeToString(b)}}
		if expect == "ok" {
			r, err := lease.OpenSlice(b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			v.ID = r.ID.String()
		}
		list = append(list, v)
		return &list[len(list)-1]
	}
	sealed := func(by, domain string, change func(*lease.SliceRecord)) []byte {
		r := sound
		change(&r)
		s, err := lease.SealAs(domain, r, leasetest.Key(by))
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	edit := func(change func(*lease.SliceRecord)) []byte { return sealed("alice", lease.SliceDomain, change) }
	same := func(*lease.SliceRecord) {}
	many := func(n int) func(*lease.SliceRecord) {
		return func(r *lease.SliceRecord) {
			r.Grants, r.Nodes = nil, nil
			for i := range n {
				r.Nodes = append(r.Nodes, lease.Principal(binary.BigEndian.AppendUint32(make([]byte, 28), uint32(i))))
			}
		}
	}
	grants := func(n int) func(*lease.SliceRecord) {
		return func(r *lease.SliceRecord) {
			for r.Grants = nil; len(r.Grants) < n; {
				r.Grants = append(r.Grants, lease.ID{byte(len(r.Grants))})
			}
		}
	}
	good := edit(same)
	add("sound", "ok", "", "with two grants and two nodes", good)
	add("bare", "ok", "", "no grant, no node", edit(func(r *lease.SliceRecord) { r.Grants, r.Nodes = nil, nil }))
	add("unlabelled", "ok", "", "of all the owner's slices", edit(func(r *lease.SliceRecord) { r.Slice = "" }))
	add("full", "ok", "", "32 grants, 128 nodes, the greatest sequence and term", edit(func(r *lease.SliceRecord) {
		many(lease.MaxSliceNodes)(r)
		nodes := r.Nodes
		grants(lease.MaxGrants)(r)
		r.Nodes, r.Sequence, r.Until, r.Slice = nodes, 1<<64-1, r.Made+lease.MaxTerm, strings.Repeat("a", lease.MaxLabel)
	}))
	add("unowned", "field", "R1", "an owner for whom anybody can sign", edit(func(r *lease.SliceRecord) { r.Owner = lease.Principal{1} }))
	add("ownerless", "field", "R1", "no owner", edit(func(r *lease.SliceRecord) { r.Owner = lease.Principal{} }))
	add("wrong-owner", "signature", "R1", "alice's, signed by mallory", sealed("mallory", lease.SliceDomain, same))
	add("wrong-domain", "signature", "R1", "signed as a statement", sealed("alice", lease.Domain, same))
	add("forged", "signature", "R1", "a bit of the signature", append(slices.Clone(good[:len(good)-1]), good[len(good)-1]^1))
	add("sequence-0", "field", "R1", "sequences begin with 1", edit(func(r *lease.SliceRecord) { r.Sequence = 0 }))
	add("label", "field", "R1", "a label with a capital", edit(func(r *lease.SliceRecord) { r.Slice = "Web" }))
	add("label-long", "field", "R1", "a label of 64 characters", edit(func(r *lease.SliceRecord) { r.Slice = strings.Repeat("a", lease.MaxLabel+1) }))
	add("term-empty", "field", "R1", "ends when it is made", edit(func(r *lease.SliceRecord) { r.Until = r.Made }))
	add("term-long", "field", "R1", "a second more than 400 days", edit(func(r *lease.SliceRecord) { r.Until = r.Made + lease.MaxTerm + 1 }))
	add("made-0", "field", "R1", "made in 1970", edit(func(r *lease.SliceRecord) { r.Made, r.Until = 0, 3600 }))
	add("grants-back", "field", "R1", "grants in descending order", edit(func(r *lease.SliceRecord) { r.Grants = []lease.ID{{2}, {1}} }))
	add("grant-twice", "field", "R1", "a grant twice", edit(func(r *lease.SliceRecord) { r.Grants = []lease.ID{{1}, {1}} }))
	add("nodes-back", "field", "R1", "nodes in descending order", edit(func(r *lease.SliceRecord) { r.Nodes = []lease.Principal{{4}, {3}} }))
	add("node-twice", "field", "R1", "a node twice", edit(func(r *lease.SliceRecord) { r.Nodes = []lease.Principal{{3}, {3}} }))
	add("grants-33", "field", "R1", "33 grants", edit(grants(lease.MaxGrants+1)))
	add("nodes-129", "field", "R1", "129 nodes", edit(many(lease.MaxSliceNodes+1)))
	add("truncated", "syntax", "R1", "the last byte is missing", good[:len(good)-1])
	add("trailing", "syntax", "R1", "a byte after the frame", append(slices.Clone(good), 0))
	add("oversize", "too-big", "R1", "8,193 bytes", make([]byte, lease.MaxSliceRecord+1))
	add("statement", "syntax", "R1", "a grant in its place", leasetest.Draw(t, "grant(alice bob verbs=exec sequence=1 slice=web)").Last().Signed.Bytes())

	alice := who("alice")
	at := func(sec int64) []byte {
		return binary.BigEndian.AppendUint32([]byte{0x1a}, uint32(leasetest.Epoch+sec))
	}
	pairs := func(change func(p []pair) []pair) []byte {
		return enclose(lease.SliceDomain, cborMap(change([]pair{{[]byte{1}, bstr(alice[:])}, {[]byte{4}, at(0)}, {[]byte{5}, at(3600)},
			{[]byte{11}, []byte("\x63web")}, {[]byte{0x18, 37}, []byte{1}}})...))
	}
	add("by-hand", "ok", "", "what the next ones differ from", pairs(func(p []pair) []pair { return p }))
	add("disordered", "not-canonical", "R1", "until before made", pairs(func(p []pair) []pair { p[1], p[2] = p[2], p[1]; return p }))
	add("long-number", "not-canonical", "R1", "the sequence in two bytes where one does", pairs(func(p []pair) []pair { p[4].value = []byte{0x18, 1}; return p }))
	add("default", "not-canonical", "R1", "an empty label is left out", pairs(func(p []pair) []pair { p[3].value = []byte{0x60}; return p }))
	add("no-grants", "not-canonical", "R1", "an empty list is left out", pairs(func(p []pair) []pair {
		return append(p, pair{[]byte{0x18, 40}, []byte{0x80}})
	}))
	add("grant-short", "not-canonical", "R1", "a grant's id of 31 bytes", pairs(func(p []pair) []pair {
		return append(p, pair{[]byte{0x18, 40}, append([]byte{0x81}, bstr(make([]byte, 31))...)})
	}))
	add("key-twice", "syntax", "R1", "two sequences", pairs(func(p []pair) []pair { return append(p, p[4]) }))
	add("key-to-come", "syntax", "R1", "a field that is not there yet", pairs(func(p []pair) []pair { return append(p, pair{[]byte{0x18, 43}, []byte{1}}) }))
	add("kind", "syntax", "R1", "a field of statements", pairs(func(p []pair) []pair { return append([]pair{{[]byte{0}, []byte{10}}}, p...) }))
	add("ownerless-map", "not-canonical", "R1", "the owner is missing", pairs(func(p []pair) []pair { return p[1:] }))
	add("negative", "syntax", "R1", "sequence -1", pairs(func(p []pair) []pair { p[4].value = []byte{0x20}; return p }))
	add("sequence-text", "syntax", "R1", "a sequence in letters", pairs(func(p []pair) []pair { p[4].value = []byte("\x611"); return p }))

	asked := func(name, expect, rule, note, owner, label string) {
		add(name, expect, rule, note, good).Of = &sliceName{who(owner), label}
	}
	asked("asked", "ok", "", "it was asked for", "alice", "web")
	asked("asked-owner", "answer", "R2", "asked was bob's", "bob", "web")
	asked("asked-label", "answer", "R2", "asked was another slice", "alice", "db")
	asked("asked-all", "answer", "R2", "asked was the record of all slices", "alice", "")
	add("last-second", "ok", "", "a second before until", good).At = leasetest.Epoch + 3599
	add("lapsed", "lapsed", "R4", "at until", good).At = leasetest.Epoch + 3600
	return list
}

// topicVectors are records that say who may publish: rules R1 and R5.
func topicVectors(t testing.TB) (list []vector) {
	record := func(topics ...lease.Topic) []byte {
		s, err := lease.SealAs(lease.SliceDomain, lease.SliceRecord{Owner: who("alice"), Slice: "web", Sequence: 1, Made: leasetest.Epoch,
			Until: leasetest.Epoch + 3600, Nodes: []lease.Principal{who("node")}, Topics: topics}, leasetest.Key("alice"))
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	add := func(name, expect, rule, note string, b []byte) *vector {
		v := vector{Name: "topic-" + name, Note: note, Expect: expect, Rule: rule, onSlice: onSlice{Record: hex.EncodeToString(b)}}
		if expect == "ok" {
			r, err := lease.OpenSlice(b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			v.ID = r.ID.String()
		}
		list = append(list, v)
		return &list[len(list)-1]
	}
	named := func(n int) (all []lease.Topic) {
		for i := range n {
			all = append(all, lease.Topic{Name: fmt.Sprintf("t%02d", i), Publishers: lease.ByAnybody})
		}
		return all
	}
	principals := func(n int) (all []lease.Principal) {
		for i := range n {
			all = append(all, lease.Principal(binary.BigEndian.AppendUint32(make([]byte, 28), uint32(i))))
		}
		return all
	}
	full := named(lease.MaxTopics)
	full[3].Principals = principals(lease.MaxPublishers)
	add("full", "ok", "", "16 topics, 16 principals", record(full...))
	add("bare", "ok", "", "a topic on which the owner and whom he granted it publish", record(lease.Topic{Name: "news"}))
	add("back", "field", "R1", "in descending order", record(lease.Topic{Name: "b"}, lease.Topic{Name: "a"}))
	add("twice", "field", "R1", "one name twice", record(lease.Topic{Name: "a"}, lease.Topic{Name: "a", Publishers: lease.ByAnybody}))
	add("name", "field", "R1", "a name with a capital", record(lease.Topic{Name: "News"}))
	add("nameless", "field", "R1", "a name without letters", record(lease.Topic{}))
	add("group", "field", "R1", "a group of publishers that is not there yet", record(lease.Topic{Name: "a", Publishers: 4}))
	add("many", "field", "R1", "17 topics", record(named(lease.MaxTopics+1)...))
	add("principals-back", "field", "R1", "principals in descending order", record(lease.Topic{Name: "a", Principals: []lease.Principal{{2}, {1}}}))
	add("principals-many", "field", "R1", "17 principals of one topic", record(lease.Topic{Name: "a", Principals: principals(lease.MaxPublishers + 1)}))
	add("principals-all", "field", "R1", "9 and 8 principals of two topics",
		record(lease.Topic{Name: "a", Principals: principals(9)}, lease.Topic{Name: "b", Principals: principals(8)}))

	rights := record(lease.Topic{Name: "all", Publishers: lease.ByAnybody}, lease.Topic{Name: "own"},
		lease.Topic{Name: "some", Principals: []lease.Principal{who("bob")}}, lease.Topic{Name: "status", Publishers: lease.BySlivers})
	for _, c := range []struct{ by, topic, expect string }{
		{"alice", "own", "ok"}, {"alice", "unheard", "ok"}, {"bob", "own", "grant"}, {"bob", "unheard", "grant"},
		{"mallory", "all", "ok"}, {"bob", "some", "ok"}, {"mallory", "some", "grant"}, {"node", "some", "grant"},
		{"node", "status", "ok"}, {"bob", "status", "grant"},
	} {
		rule := ""
		if c.expect != "ok" {
			rule = "R5"
		}
		v := add(c.by+"-"+c.topic, "ok", "", c.by+" on "+c.topic, rights)
		if v.Expect, v.Rule, v.Publish = c.expect, rule, (&publish{who(c.by), c.topic}); c.expect != "ok" {
			v.ID = ""
		}
	}
	return list
}

// pairVectors are two records of one slice each: which counts (rule R3).
func pairVectors(t testing.TB) (list []vector) {
	record := func(owner, label string, sequence uint64, change func(*lease.SliceRecord)) lease.OpenedSlice {
		return leasetest.Record(t, owner, label, sequence, change)
	}
	add := func(name, rule, note string, told, known, counts lease.OpenedSlice) {
		v := vector{Name: "newer-" + name, Note: note, Expect: "ok", Rule: rule, ID: counts.ID.String(),
			onSlice: onSlice{Record: hex.EncodeToString(told.Bytes), Known: hex.EncodeToString(known.Bytes)}}
		if rule == "R2" {
			v.Expect, v.ID = "answer", ""
		}
		list = append(list, v)
	}
	one, two := record("alice", "web", 1, nil), record("alice", "web", 2, nil)
	late := record("alice", "web", 1, func(r *lease.SliceRecord) { r.Made, r.Until = r.Made+60, r.Until+60 })
	greater, lesser := one, late
	if !greater.Newer(lesser) {
		greater, lesser = lesser, greater
	}
	add("forward", "", "the next sequence", two, one, two)
	add("back", "", "the sequence before: what is known stays", one, two, two)
	add("same", "", "it is known", one, one, one)
	add("twin-greater", "", "one sequence, and the greater id", greater, lesser, greater)
	add("twin-lesser", "", "one sequence, and the lesser id", lesser, greater, greater)
	add("later", "", "made later, of a lesser sequence", late, two, two)
	add("far", "", "sequences of 64 bits", record("alice", "web", 1<<64-1, nil), record("alice", "web", 1<<63, nil), record("alice", "web", 1<<64-1, nil))
	add("other-label", "R2", "of another slice", record("alice", "db", 9, nil), one, one)
	add("other-owner", "R2", "of another's", record("bob", "web", 9, nil), one, one)
	return list
}

// grantVectors are the cases of TestGrants: rules G1 to G8.
func grantVectors(t testing.TB) (list []vector) {
	for i, c := range grants {
		d := leasetest.Draw(t, c.drawing).Last()
		shown, wants := c.shown(t)
		v := vector{Name: fmt.Sprintf("grant-%02d", i), Note: c.rule + ": " + c.drawing, Expect: c.verdict,
			onSlice: onSlice{Authority: hex.EncodeToString(shown), Deed: &deed{wants.By, wants.Owner, wants.Slice, uint16(wants.Any), wants.At, wants.Until}}}
		list = append(list, v.of(d))
	}
	odd := func(name, expect, note string, shown []byte) {
		v := list[0]
		v.Name, v.Note, v.Expect, v.Rule, v.ID, v.Authority = "authority-"+name, note, expect, "G1", "", hex.EncodeToString(shown)
		list = append(list, v)
	}
	good := unhex(list[0].Authority)
	odd("truncated", "syntax", "the last byte is missing", good[:len(good)-1])
	odd("trailing", "syntax", "a byte after it", append(slices.Clone(good), 0))
	odd("long-length", "not-canonical", "an array's length in a byte of its own", append([]byte{0x98, 2}, good[1:]...))
	odd("oversize", "too-big", "9,233 bytes", make([]byte, lease.MaxAuthority+1))
	g := leasetest.Draw(t, "grant(alice bob verbs=exec sequence=1 slice=web)").Last()
	odd("alone", "syntax", "a grant with no record", append([]byte{0x81}, bstr(g.Signed.Bytes())...))
	odd("swapped", "kind", "the record first", lease.SealAuthority(leasetest.Record(t, "alice", "web", 1, nil, g).Bytes, g.Signed.Bytes()))
	stolen, err := lease.SealAs(lease.SliceDomain, leasetest.Record(t, "alice", "web", 1, nil, g).SliceRecord, leasetest.Key("mallory"))
	if err != nil {
		t.Fatal(err)
	}
	odd("forged-record", "signature", "a record that the owner did not sign", lease.SealAuthority(g.Signed.Bytes(), stolen.Bytes()))
	list[len(list)-1].Rule = "R1"
	return list
}

// grantedEndVectors are closes of leases by whom the slice's owner lets: rule E5.
func grantedEndVectors(t testing.TB) (list []vector) {
	for _, c := range grantedEnds {
		if c.grant == "" {
			continue // it is rule E3's, of answers.json
		}
		d := leasetest.Draw(t, c.drawing).Last()
		g := leasetest.Draw(t, c.grant).Last()
		v := vector{Name: fmt.Sprintf("granted-end-%02d", len(list)), Note: c.rule + ": " + c.drawing + " by " + c.grant, Expect: c.verdict,
			Claim: hex.EncodeToString(d.Up.Signed.Bytes()), End: hex.EncodeToString(d.Signed.Bytes()),
			onSlice: onSlice{Authority: hex.EncodeToString(leasetest.Authority(g, leasetest.Record(t, "alice", "web", 1, nil, g)))}}
		list = append(list, v.of(d))
	}
	return list
}

// Every rule of slices.md is broken by a vector, or decided by one.
func TestSliceRulesHaveVectors(t *testing.T) {
	broken := map[string]bool{}
	for _, v := range readVectors(t, "testdata/vectors/slices.json") {
		for rule := range strings.FieldsSeq(v.Rule) {
			broken[rule] = true
		}
		if v.Known != "" && v.Expect == "ok" { // R3 refuses nothing: it says which counts
			broken["R3"] = true
		}
	}
	for _, m := range regexp.MustCompile(`\*\*([RGE]\d+)\*\*`).FindAllStringSubmatch(document(t, "slices.md"), -1) {
		if !broken[m[1]] {
			t.Errorf("%s is broken by no vector", m[1])
		}
	}
}
