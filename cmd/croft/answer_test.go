// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/daemon"
)

// makeanswer: "makeanswer FILE KIND" writes what somebody has who asked node n1
// about a packet of its second segment, of four:
//
//	good       the answer, its proof, and two witnesses' words tied to it
//	pending    the answer alone, before the node has committed to it
//	changed    a row was altered on the way
//	silent     the answer leaves a slice out that the proof shows
//	rewritten  the node has rewritten its record, and shows its witness so
//	words      what a witness of the other history said
func makeanswer() {
	text, err := answerOf(os.Args[2])
	if err == nil {
		err = os.WriteFile(os.Args[1], text, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answerOf(kind string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "answer")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	const at = 1_000_301
	q := audit.Who{Src: netip.MustParseAddrPort("198.51.100.7:20117"), Dst: netip.MustParseAddrPort("203.0.113.9:443"), At: at * 1e9, Within: 2e9}
	one, heads, err1 := history(dir+"/a", leasetest.Key("n1"), 4, 5, q.Dst)
	two, others, err2 := history(dir+"/b", leasetest.Key("n1"), 5, 6, q.Dst)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	defer one.Close()
	defer two.Close()
	found, err := one.Who(context.Background(), q)
	if err != nil || len(found.Answers) != 1 {
		return nil, fmt.Errorf("found %+v: %w", found, err)
	}
	said, pending := found, int64(0)
	switch kind {
	case "silent":
		said.Slices = nil
	case "pending":
		pending = (at + 300) * 1e9
	}
	answer, err := audit.SealAssertion(audit.NewAssertion(leasetest.Who("n1"), q, said, false, pending, (at+2000)*1e9), leasetest.Key("n1"))
	if err != nil {
		return nil, err
	}
	ref := found.Answers[0].Rows[0].Ref
	rows, err := one.Prove(ref.Segment, ref.Leaf)
	if err != nil {
		return nil, err
	}
	older, newest := heads[2], heads[3]
	growth, err := one.Growth(older.Size)
	if err != nil {
		return nil, err
	}
	_, on, _, err := growth.After(older)
	if err != nil {
		return nil, err
	}
	d := audit.Dossier{Answers: []audit.OpenedAssertion{answer}, Proofs: []audit.Proof{rows, on}}
	for i, h := range []audit.OpenedHead{older, newest} {
		w, err := vouched(fmt.Sprint("w", i), h)
		if err != nil {
			return nil, err
		}
		d.Words = append(d.Words, w)
	}
	switch kind {
	case "pending":
		d.Proofs, d.Words = nil, nil
	case "changed":
		rows.Leaves[0].Leaf[len(rows.Leaves[0].Leaf)-1]++
	case "rewritten":
		growth, err := two.Growth(newest.Size)
		if err != nil {
			return nil, err
		}
		_, _, fork, err := growth.After(newest)
		if fork == nil {
			return nil, fmt.Errorf("no fork: %w", err)
		}
		d = audit.Dossier{Proofs: []audit.Proof{fork}}
	case "words":
		w, err := vouched("w2", others[3])
		d = audit.Dossier{Words: []audit.OpenedWitnessed{w}}
		if err != nil {
			return nil, err
		}
	}
	return append([]byte("Who was it?\n\n"), d.Text()...), nil
}

func vouched(witness string, h audit.OpenedHead) (audit.OpenedWitnessed, error) {
	return audit.SealWitnessed(audit.Witnessed{Witness: leasetest.Who(witness), Head: h.Bytes, First: 1, At: h.At + 1e9}, leasetest.Key(witness))
}

// history is a node's record of so many segments with so many packets in each, and its
// heads. No two are the same: salts are drawn.
func history(dir string, key lease.Signer, n int, packets uint64, dst netip.AddrPort) (*store.Store, []audit.OpenedHead, error) {
	s, err := store.Open(dir, store.Options{Node: key.Principal(), Reserve: -1})
	if err != nil {
		return nil, nil, err
	}
	err = s.AppendTenure(audit.Tenure{Sliver: "sliver1", Slice: "web@somebody", Place: 1, First: 20000, Last: 20255, From: 1})
	var heads []audit.OpenedHead
	for i := range n {
		at := int64(1_000_000 + 301*i)
		e := ebpf.Epoch{Series: 7, Number: uint64(i + 1), At: at * 1e9, Flows: []ebpf.Flow{{Place: 1, Sliver: "sliver1", Proto: 6,
			Src: netip.MustParseAddrPort("10.0.0.2:40000"), Dst: dst,
			Packets: packets, Bytes: 500, First: at*1e9 - 1e9, Last: at * 1e9}}}
		e.Identity.Seen, e.Identity.Recorded = packets, packets
		err = errors.Join(err, s.Append(e))
		for _, now := range []int64{at, at + 300} {
			_, turnErr := s.Turn(context.Background(), time.Unix(now, 0), key)
			err = errors.Join(err, turnErr)
		}
		h, _ := s.Head()
		heads = append(heads, h)
	}
	return s, heads, err
}

// rewrite: "rewrite STATE N" puts, in the place of a node's record, another of its
// own with N segments, each closed, indexed, and signed with the node's key, of
// packets to port 443 of the address in OUTSIDE.
func rewrite() {
	err := func() error {
		n, err := strconv.Atoi(os.Args[2])
		if err != nil {
			return err
		}
		outside, err := netip.ParseAddr(os.Getenv("OUTSIDE"))
		if err != nil {
			return err
		}
		key, err := daemon.NodeKey(os.Args[1])
		if err != nil {
			return err
		}
		dir := filepath.Join(os.Args[1], "audit")
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		s, _, err := history(dir, key, n, uint64(n), netip.AddrPortFrom(outside, 443))
		return errors.Join(err, s.Close())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
