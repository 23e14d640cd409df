// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"
	"time"

	"croft/lease"
)

type testKey ed25519.PrivateKey

func (k testKey) Principal() lease.Principal {
	return lease.Principal(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
}
func (k testKey) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

func keyOf(name string) testKey {
	seed := sha256.Sum256([]byte(name))
	return testKey(ed25519.NewKeyFromSeed(seed[:]))
}

var noon = time.Unix(1_800_000_000, 0)

// full is an offer as a well-equipped node makes it.
func full(key testKey) *Offer {
	free, err := lease.ParseRSet("cpu=3500 memory=7GiB disk=100GiB pids=4000 io=100MiB egress.rate=50mbit " +
		"ingress.rate=50mbit egress.packets=20k ingress.packets=20k flows.new=1k flows.live=50k ports.in=64 ports.out=20k")
	if err != nil {
		panic(err)
	}
	return &Offer{
		Node: key.Principal(), Sequence: 7, Made: noon.Unix(), Until: noon.Unix() + 600,
		Name: "uni-a/n1", Site: keyOf("site").Principal(), Certificate: make([]byte, 170),
		Attributes: Attributes{Country: "CH", Region: "zurich", City: "Zürich", Position: &Position{Lat: 47_376, Lon: 8_541},
			AS: 559, Kernel: "6.1.0-31-amd64", Arch: "amd64", Runtimes: []string{"runc"}, Network: "public",
			Labels: map[string]string{"ixp": "yes", "rack": "b4"}},
		Free:  []Free{{Pool: lease.PoolCommons, RSet: free}, {Pool: lease.PoolSharp, RSet: free}},
		Total: free.Plus(free), Longest: 86400, Commons: free,
		Addrs:  []string{"/ip4/198.51.100.7/udp/4155/quic-v1", "/ip4/198.51.100.7/tcp/4155"},
		Uptime: 90_000,
	}
}

func seal(t testing.TB, o *Offer, key testKey) Opened {
	t.Helper()
	op, err := Seal(o, key)
	if err != nil {
		t.Fatal(err)
	}
	return op
}
