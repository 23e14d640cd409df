// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"sync"
	"testing"

	"croft/lease"
)

// Several commands at once, each the first in a new home, come to one key.
func TestFirstKeyIsOne(t *testing.T) {
	for range 50 {
		home := t.TempDir()
		var got [8]lease.Principal
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				a := &app{home: home, err: io.Discard}
				key, err := a.mine()
				if err != nil {
					t.Error(err)
					return
				}
				got[i] = key.Principal()
			})
		}
		all.Wait()
		for _, p := range got {
			if p != got[0] || p == (lease.Principal{}) {
				t.Fatalf("keys of one home: %v", got)
			}
		}
		if left, err := os.ReadDir(home); err != nil || len(left) != 1 {
			t.Fatalf("in the home: %v, %v; want the key alone", left, err)
		}
	}
}
