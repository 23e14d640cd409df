// SPDX-License-Identifier: Apache-2.0

package market

import (
	"reflect"
	"testing"
	"time"
)

func play(t *testing.T, cfg Config) Result {
	t.Helper()
	r, err := Run(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Proofs != 0 {
		t.Errorf("%+v: %d conflicts among honest agents", cfg, r.Proofs)
	}
	if r.Whole.Wishes == 0 || r.Whole.Served == 0 || r.Whole.Served > r.Whole.Wishes {
		t.Errorf("%+v: %+v", cfg, r.Whole)
	}
	return r
}

// An agent dies at minute 20. At degree 100 what only it could promise is out of
// reach; at degree 150 its peers have promised most of it already.
func TestPeersCoverForADeadAgent(t *testing.T) {
	cfg := Config{Seed: 1, Death: 20 * time.Minute, Dead: 1}
	cfg.Degree = 100
	plain := play(t, cfg)
	cfg.Degree = 150
	covered := play(t, cfg)
	if plain.After.Wishes != covered.After.Wishes {
		t.Fatalf("%d and %d wishes: not the same hour", plain.After.Wishes, covered.After.Wishes)
	}
	if plain.Before.Share() < 0.95 || covered.Before.Share() < 0.95 {
		t.Errorf("before the death %.3f and %.3f are served: the load is too high to say anything", plain.Before.Share(), covered.Before.Share())
	}
	if covered.After.Share() < plain.After.Share()+0.05 {
		t.Errorf("after the death %.3f are served with oversubscription, %.3f without", covered.After.Share(), plain.After.Share())
	}
	if covered.Orphan.Share() < plain.Orphan.Share() {
		t.Errorf("of the dead agent's users %.3f are served with oversubscription, %.3f without", covered.Orphan.Share(), plain.Orphan.Share())
	}
	for code := range plain.Whole.Refused {
		t.Errorf("at degree 100 a node refused: %s", code)
	}
	for code := range covered.Whole.Refused {
		if code != "oversubscribed" {
			t.Errorf("at degree 150 a node refused: %s", code)
		}
	}
}

func TestTheSameHourTwice(t *testing.T) {
	cfg := Config{Sites: 3, Degree: 125, Seed: 7, Length: 12 * time.Minute, Death: 5 * time.Minute, Dead: 2}
	if a, b := play(t, cfg), play(t, cfg); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// The more agents die, the less can be had; with a degree less is lost; and nobody
// leases what no living agent could promise.
func TestUtilisationIsWithinReach(t *testing.T) {
	cfg := Config{Seed: 2, Load: 1.2, Length: 30 * time.Minute, Death: 8 * time.Minute}
	late := map[[2]int]float64{}
	for _, degree := range []int{100, 125, 200} {
		for _, dead := range []int{0, 2} {
			cfg.Degree, cfg.Dead = uint16(degree), dead
			r := play(t, cfg)
			late[[2]int{degree, dead}] = r.Late
			if reach := r.Config.Reach(); r.Late > reach+0.01 || r.Late < 0.9*reach {
				t.Errorf("degree %d, %d dead: %.3f leased, %.3f within reach", degree, dead, r.Late, reach)
			}
			t.Logf("degree %d, %d dead: %.3f leased, %.3f within reach", degree, dead, r.Late, r.Config.Reach())
		}
	}
	if late[[2]int{100, 2}] > late[[2]int{100, 0}]-0.2 || late[[2]int{200, 2}] < late[[2]int{100, 2}]+0.2 {
		t.Errorf("%v", late)
	}
}
