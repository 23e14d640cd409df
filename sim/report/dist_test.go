// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// drawn is a distribution of that mean, and its members in order.
func drawn(seed uint64, mean float64) (*Dist, []int64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	var d Dist
	var all []int64
	for range 20_000 {
		v := int64(rng.ExpFloat64() * mean)
		d.Add(v)
		all = append(all, v)
	}
	slices.Sort(all)
	return &d, all
}

func TestQuantiles(t *testing.T) {
	d, all := drawn(1, 1e8)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		want := float64(all[int(q*float64(len(all)))-1])
		if got := d.Quantile(q); got < want*0.99 || got > want*1.01 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if d.Max() != float64(all[len(all)-1]) || d.Count() != uint64(len(all)) {
		t.Errorf("max %v of %d", d.Max(), d.Count())
	}
}

// A member of a class is of that class: what is written down is read back as it was.
func TestDistJSON(t *testing.T) {
	for c := range 50 << classBits {
		if got := class(int64(middle(c))); got != c {
			t.Fatalf("%v of class %d is of class %d", middle(c), c, got)
		}
	}
	d, _ := drawn(1, 1e8)
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back Dist
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(*d, back) {
		t.Errorf("%v: read back as another", err)
	}
	if err := json.Unmarshal([]byte(`{"classes":[[-1,2]]}`), &back); err == nil {
		t.Error("a negative member is read")
	}
}

func TestMerge(t *testing.T) {
	a, _ := drawn(1, 1e8)
	b, _ := drawn(2, 3e8)
	var both Dist
	both.Merge(a)
	both.Merge(b)
	if both.Count() != a.Count()+b.Count() || both.Max() != max(a.Max(), b.Max()) || math.Abs(both.Mean()-(a.Mean()+b.Mean())/2) > 1 {
		t.Errorf("%v of %d", both.Mean(), both.Count())
	}
}

func TestCDF(t *testing.T) {
	d, all := drawn(1, 1e8)
	curve := d.CDF(50, 1e-9)
	if len(curve) > 50 || curve[len(curve)-1].Y != 1 {
		t.Fatalf("%d points to %v", len(curve), curve[len(curve)-1])
	}
	for i, p := range curve {
		n, _ := slices.BinarySearch(all, int64(p.X*1e9*1.01)+1)
		if share := float64(n) / float64(len(all)); share < p.Y-0.01 || i > 0 && (p.Y <= curve[i-1].Y || p.X <= curve[i-1].X) {
			t.Errorf("%v at or below %v; truly %v", p.Y, p.X, share)
		}
	}
}

// Two of one law are near, two of others far, and by how much is known: the earth
// mover's distance of exponential laws is the difference of their means, that of
// Kolmogorov and Smirnov is at x = ln(b/a)/(1/a-1/b).
func TestBetween(t *testing.T) {
	a, _ := drawn(1, 1e8)
	same, _ := drawn(2, 1e8)
	far, _ := drawn(3, 3e8)
	if d := Between(a, a); d != (Distance{}) {
		t.Errorf("from itself: %+v", d)
	}
	if d := Between(a, same); d.KS > 0.02 || d.Relative > 0.03 {
		t.Errorf("of one law: %+v", d)
	}
	x := math.Log(3) / (1 - 1.0/3)
	ks := math.Exp(-x/3) - math.Exp(-x)
	if d := Between(a, far); math.Abs(d.KS-ks) > 0.02 || math.Abs(d.Earth-2e8) > 1e7 || math.Abs(d.Relative-2) > 0.1 {
		t.Errorf("of other laws: %+v, want %v and 2e8", d, ks)
	}
	if f, b := Between(a, far), Between(far, a); f.KS != b.KS || math.Abs(f.Earth-b.Earth) > 1 {
		t.Errorf("%+v there and %+v back", f, b)
	}
}
