// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"math/big"
	wide "math/bits" // the package has units named bits
	"strings"
)

// A Weight is an amount of one resource times a degree, in hundredths of the
// resource's unit: what a claim weighs in its parent's budget, and how much that
// budget is. It has 128 bits. An amount has at most 60 and a degree 14, so that no sum
// over the slots of a claim comes near the end.
type Weight struct{ high, low uint64 }

// weigh returns amount × degree.
func weigh(amount uint64, degree uint16) (w Weight) {
	w.high, w.low = wide.Mul64(amount, uint64(degree))
	return w
}

func (w Weight) plus(o Weight) Weight {
	low, carry := wide.Add64(w.low, o.low, 0)
	high, _ := wide.Add64(w.high, o.high, carry)
	return Weight{high, low}
}

func (w Weight) minus(o Weight) Weight {
	low, borrow := wide.Sub64(w.low, o.low, 0)
	high, _ := wide.Sub64(w.high, o.high, borrow)
	return Weight{high, low}
}

// Compare returns -1, 0 or 1 as w is less than, equal to or more than o.
func (w Weight) Compare(o Weight) int {
	switch {
	case w == o:
		return 0
	case w.high < o.high || w.high == o.high && w.low < o.low:
		return -1
	}
	return 1
}

func (w Weight) exceeds(o Weight) bool { return w.Compare(o) > 0 }

func (w Weight) max(o Weight) Weight {
	if o.exceeds(w) {
		return o
	}
	return w
}

// IsZero reports whether w is nothing.
func (w Weight) IsZero() bool { return w == Weight{} }

// whole returns w in whole units, rounded up, never above the largest amount
// that an [RSet] can say.
func (w Weight) whole() uint64 {
	if w.high >= degreeUnit {
		return ^uint64(0)
	}
	q, rest := wide.Div64(w.high, w.low, degreeUnit)
	if rest > 0 && q != ^uint64(0) {
		q++
	}
	return q
}

const degreeUnit = 100 // a degree is in hundredths

// String prints the exact amount in the resource's smallest unit: "6001", or
// "6000.5" where a degree makes a fraction.
func (w Weight) String() string {
	n := new(big.Int).SetUint64(w.high)
	n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(w.low))
	return strings.TrimSuffix(strings.TrimRight(new(big.Rat).SetFrac(n, big.NewInt(degreeUnit)).FloatString(2), "0"), ".")
}

func (w Weight) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Format prints w as an amount of r, with the unit of a whole amount.
func (w Weight) Format(r Resource) string {
	if w.high < degreeUnit {
		if q, rest := wide.Div64(w.high, w.low, degreeUnit); rest == 0 {
			return r.Format(q)
		}
	}
	return w.String()
}
