// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"testing"

	"croft/lease"
)

// Whatever a node says of itself, its offer names as many of its pools as fit,
// those given first with most to say, and can be sealed.
func TestFit(t *testing.T) {
	key := keyOf("n1")
	for _, addrs := range []int{0, 2, 4, 5} {
		for n := range 18 {
			o := full(key)
			set := o.Total
			for len(o.Addrs) < addrs {
				o.Addrs = append(o.Addrs, fmt.Sprintf("/ip6/2001:db8:0:1234:5678:9abc:def0:%04x/udp/4155/quic-v1", len(o.Addrs)))
			}
			if addrs == 0 { // a node that says little
				o.Addrs, o.Attributes, o.Site, o.Certificate = nil, Attributes{}, lease.Principal{}, nil
			}
			var free []Free
			for i := range n {
				free = append(free, Free{Pool: lease.Pool(fmt.Sprintf("pool-%c", 'z'-i)), RSet: set})
			}
			whole := o.Fit(free)
			op := seal(t, o, key)
			if whole != (len(o.Free) == n) {
				t.Errorf("%d pools, %d named, whole %v", n, len(o.Free), whole)
			}
			if n <= 2 && !whole || n > 0 && len(o.Free) == 0 {
				t.Errorf("%d addresses, %d pools: %d are named in %d bytes", addrs, n, len(o.Free), len(op.Bytes))
			}
			for i, f := range free[:len(o.Free)] {
				got := o.FreeIn(f.Pool)
				if got[lease.CPU] != set[lease.CPU] || got[lease.IngressRate] != set[lease.IngressRate] {
					t.Errorf("pool %d of %d: %s", i, n, got)
				}
				if i > 0 && got[lease.Pids] != 0 && o.FreeIn(free[i-1].Pool)[lease.Pids] == 0 {
					t.Errorf("of pool %d of %d more is said than of the one before", i, n)
				}
			}
			if !whole { // not one more fits
				more := *o
				var list []Free
				for _, f := range free[:len(o.Free)+1] {
					list = append(list, Free{Pool: f.Pool, RSet: only(set, telling)})
				}
				if len(list) <= MaxPools && more.fits(list) {
					t.Errorf("%d of %d pools are named, one more fits", len(o.Free), n)
				}
			}
		}
	}
}

// A query may ask for a pool by name, and for what is free in it.
func TestPoolsInQueries(t *testing.T) {
	o := full(keyOf("n1"))
	o.Fit([]Free{{Pool: lease.PoolCommons, RSet: lease.RSet{lease.CPU: 1000}},
		{Pool: lease.PoolShare, RSet: lease.RSet{lease.CPU: 3000, lease.EgressRate: 5e6}}, {Pool: "my-lab", RSet: lease.RSet{}}})
	for query, want := range map[string]bool{
		"pool=share": true, "pool=Share": true, "pool!=share": false, "pool=calendar": false, "pool!=calendar": true, "pool=my-lab": true,
		"cpu>=2000": false, "free.cpu>=1000": true, "free.commons.cpu>=2000": false,
		"free.share.cpu>=3000": true, "free.share.cpu>3000": false, "free.share.egress.rate>=5mbit": true,
		"free.my-lab.cpu=0": true, "free.my-lab.cpu>0": false,
		"free.calendar.cpu>=0": false, "free.calendar.cpu!=7": true, // not stated
	} {
		q, err := ParseQuery(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if got, _ := q.Match(o, Measured{}); got != want {
			t.Errorf("%s: %v", query, got)
		}
		if again, err := ParseQuery(q.String()); err != nil || again.String() != q.String() {
			t.Errorf("%s reads as %s, then %s, %v", query, q, again, err)
		}
	}
	for _, query := range []string{"free.share>=1", "free..cpu>=1", "free.Share.cpu>=1", "share.cpu>=1", "pool>=share", "free.-x.cpu>1", "free.share.cpus>1"} {
		if q, err := ParseQuery(query); err == nil {
			t.Errorf("%s reads as %s", query, q)
		}
	}
}
