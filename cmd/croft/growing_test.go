// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"
)

func TestGrowingKeepsColumnsAsWideAsTheyWere(t *testing.T) {
	var out bytes.Buffer
	g := growing{to: &out, wide: []int{4, 2, 0}}
	for _, row := range [][]string{{"NODE", "AT", "FROM"}, {"a", "Zürich", "view"}, {"longer", "x", "dht"}, {"b", "", "dht"}} {
		if err := g.row(row); err != nil {
			t.Fatal(err)
		}
	}
	const want = "" +
		"NODE  AT  FROM\n" +
		"a     Zürich  view\n" +
		"longer  x       dht\n" +
		"b               dht\n"
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", &out, want)
	}
}
