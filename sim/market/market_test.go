// SPDX-License-Identifier: Apache-2.0

package market

import (
	"testing"
	"time"
)

func TestHour(t *testing.T) {
	for _, d := range []uint16{100, 150} {
		r, err := Run(Config{Degree: d, Seed: 1, Death: 20 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", r)
	}
}
