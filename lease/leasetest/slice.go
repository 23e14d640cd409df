// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"bytes"
	"slices"
	"testing"

	"croft/lease"
)

// Record signs a slice's record that lists grants; change, if not nil, edits it
// before. It holds for a [Day] from [Epoch] on.
func Record(t testing.TB, owner, slice string, sequence uint64, change func(*lease.SliceRecord), grants ...*Drawn) lease.OpenedSlice {
	t.Helper()
	r := lease.SliceRecord{Owner: Who(owner), Slice: slice, Sequence: sequence, Made: Epoch, Until: Epoch + Day}
	for _, g := range grants {
		r.Grants = append(r.Grants, g.ID)
	}
	slices.SortFunc(r.Grants, func(a, b lease.ID) int { return bytes.Compare(a[:], b[:]) })
	if change != nil {
		change(&r)
	}
	o, err := lease.SealSlice(r, Key(owner))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Authority joins a drawn grant and a record.
func Authority(grant *Drawn, record lease.OpenedSlice) []byte {
	return lease.SealAuthority(grant.Signed.Bytes(), record.Bytes)
}
