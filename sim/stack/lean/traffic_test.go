// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"testing"
	"testing/synctest"

	"github.com/libp2p/go-libp2p/core/network"
)

// What the protocols are said to have sent is what the hosts have, and each has its own.
func TestTraffic(t *testing.T) {
	world(t, func(t *testing.T, f *Fabric, _ *bool, a, b *Host, near, far network.Stream) {
		before := f.Traffic()
		if _, err := near.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		was, sum := map[string]Traffic{}, uint64(0)
		for _, s := range before {
			was[s.Protocol] = s
		}
		for _, s := range f.Traffic() {
			sum += s.Bytes
			want := was[s.Protocol].Bytes
			if s.Protocol == string(near.Protocol()) {
				want += 100 + overhead
			}
			if s.Bytes != want {
				t.Errorf("%s has sent %d bytes, want %d", s.Protocol, s.Bytes, want)
			}
		}
		if all := a.Sent() + b.Sent(); sum != all {
			t.Errorf("protocols have sent %d bytes, hosts %d", sum, all)
		}
		if s := was[string(near.Protocol())]; s.Streams != 1 {
			t.Errorf("%d streams of %s, want 1", s.Streams, near.Protocol())
		}
	})
}
