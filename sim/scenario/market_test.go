// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// market uses each trial at least once.
const market = `
seed 3
tickets units=10 redeem=0.7 degree=110,125,150 trials=40 hands=3
agents sites=5 dead=0,4 degree=100,200 load=90 term=10m,1h runs=2
burst units=20 days=4 peak=250 come=0.5 ahead=6h degree=100
expect law sigma <= 3
expect utilisation dead1-degree150 share >= 60%
expect utilisation share >= 10%
expect refusals sharp-150 count <= 100
`

func TestMarket(t *testing.T) {
	s := parse(t, market)
	if len(s.Trials) != len(deals) || len(s.Expects) != 4 || !s.Market() {
		t.Fatalf("%+v", s)
	}
	if a := s.Trials[1].Do.(*Agents); !reflect.DeepEqual(a.Term, []time.Duration{10 * time.Minute, time.Hour}) || !reflect.DeepEqual(a.Dead, []int{0, 4}) {
		t.Errorf("%+v", a)
	}
	if got := parse(t, s.String()); !same(s, got) {
		t.Errorf("it prints as\n%s\nand reads back as\n%s", s, got)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	s.Nodes.Count = 5 // as `croft sim run --nodes` sets it
	if err := s.Check(); !errors.Is(err, ErrScenario) {
		t.Errorf("nodes in a market: %v", err)
	}
}
