// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"croft/lease/leasetest"
	"croft/node/api"
)

func TestTripsTellLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trips, a := newTrips(), leasetest.Who("a")
		if _, ok := trips.path(a); ok {
			t.Error("nothing is known yet")
		}
		for i := range 40 { // the first 8 are forgotten, with their losses
			err := error(nil)
			if i < 8 || i%4 == 3 {
				err = context.DeadlineExceeded
			}
			trips.told(a, time.Duration(i)*time.Millisecond, err)
		}
		time.Sleep(2 * time.Second)
		if p, ok := trips.path(a); !ok || p.Asked != tripWindow || p.Missed != 8 || p.Loss != 0.25 || p.RTT != 38 || p.Age != 2 {
			t.Errorf("%+v", p)
		}
		time.Sleep(tripValid)
		if p, ok := trips.path(a); ok || p.Node != a {
			t.Errorf("after a while: %+v", p)
		}
		for i := range api.MaxPaths + 3 {
			trips.told(leasetest.Who(fmt.Sprint("n", i)), time.Millisecond, errors.ErrUnsupported)
			time.Sleep(time.Millisecond)
		}
		if n := len(trips.nodes()); n != api.MaxPaths {
			t.Errorf("%d are remembered", n)
		}
		if _, ok := trips.path(leasetest.Who("n0")); ok {
			t.Error("the eldest is")
		}
	})
}
