// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

func headOf(t testing.TB, node string, size uint64, root byte, at int64) OpenedHead {
	t.Helper()
	o, err := SealHead(Head{Node: leasetest.Who(node), Size: size, Root: lease.Digest{root}, At: at}, leasetest.Key(node))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestHead(t *testing.T) {
	a := headOf(t, "n1", 7, 1, 5*second)
	again, err := OpenHead(a.Bytes)
	if err != nil || again.Head != a.Head || again.ID != a.ID {
		t.Fatalf("%+v, %v", again, err)
	}
	for name, c := range map[string]struct {
		other        OpenedHead
		forks, newer bool
	}{
		"the same, later":     {headOf(t, "n1", 7, 1, 6*second), false, true},
		"another root":        {headOf(t, "n1", 7, 2, 5*second), true, false},
		"grown":               {headOf(t, "n1", 8, 2, 5*second), false, true},
		"another node's root": {headOf(t, "n2", 7, 2, 5*second), false, false},
	} {
		if got := a.Forks(c.other.Head); got != c.forks {
			t.Errorf("%s: fork %v", name, got)
		}
		if got := c.other.Newer(a.Head); got != c.newer {
			t.Errorf("%s: newer %v", name, got)
		}
	}
}

func TestHeadRefuses(t *testing.T) {
	good := headOf(t, "n1", 7, 1, 5*second)
	signed := func(domain string, v any, by string) []byte {
		s, err := lease.SealAs(domain, v, leasetest.Key(by))
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	none, huge, never := good.Head, good.Head, good.Head
	none.Size, huge.Size, never.At = 0, MaxSegments+1, 0
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":         {nil, lease.ErrSyntax},
		"cut":             {good.Bytes[:len(good.Bytes)-1], lease.ErrSyntax},
		"too long":        {make([]byte, MaxHead+1), lease.ErrTooBig},
		"another's key":   {signed(HeadDomain, good.Head, "n2"), lease.ErrSignature},
		"another domain":  {signed(lease.Domain, good.Head, "n1"), lease.ErrSignature},
		"no size":         {signed(HeadDomain, none, "n1"), ErrField},
		"beyond all":      {signed(HeadDomain, huge, "n1"), ErrField},
		"no time":         {signed(HeadDomain, never, "n1"), ErrField},
		"nobody's":        {signed(HeadDomain, Head{Size: 1, At: 1}, "n1"), ErrField},
		"another payload": {signed(HeadDomain, []int{1}, "n1"), lease.ErrSyntax},
	} {
		if _, err := OpenHead(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := SealHead(good.Head, leasetest.Key("n2")); !errors.Is(err, lease.ErrSignature) {
		t.Errorf("sealing with another's key: %v", err)
	}
}

func FuzzOpenHead(f *testing.F) {
	f.Add(headOf(f, "n1", 7, 1, 5*second).Bytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := OpenHead(b); err == nil && string(o.Bytes) != string(b) {
			t.Fatal("does not read back")
		}
	})
}
