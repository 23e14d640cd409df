// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/ed25519"
	"errors"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func TestPortTaken(t *testing.T) {
	listen := func(seed byte, addrs ...string) ([]ma.Multiaddr, error) {
		key := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
		h, err := NewHost(Config{Key: key, Listen: addrs})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { h.Close() })
		return h.Addrs(), nil
	}
	taken, err := listen(1, "/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1")
	if err != nil || len(taken) != 2 {
		t.Fatalf("%v, %v", taken, err)
	}
	for _, addr := range taken {
		if _, err := listen(2, addr.String()); !errors.Is(err, ErrPortTaken) {
			t.Errorf("%s: %v, want ErrPortTaken", addr, err)
		}
	}
}
