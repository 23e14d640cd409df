// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"math/rand/v2"
	"testing"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// The kernel's bucket and Go's take the same random steps: 8 limits × 16,384.
func TestRootBucketIsTheReference(t *testing.T) {
	needRoot(t)
	var o struct {
		Bucket  *cebpf.Program `ebpf:"test_bucket"`
		Steps   *cebpf.Map     `ebpf:"steps"`
		Results *cebpf.Map     `ebpf:"results"`
		States  *cebpf.Map     `ebpf:"states"`
	}
	if err := loadTestingObjects(&o, nil); err != nil {
		t.Fatal(err)
	}
	defer o.Bucket.Close()
	defer o.Steps.Close()
	defer o.Results.Close()
	defer o.States.Close()

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	scale := func(limit uint64) uint64 { return r.Uint64N(limit+1) >> r.UintN(40) }
	const n = 16384
	for range 8 {
		w := ebpf.Way{Rate: scale(ebpf.MaxRate), Burst: scale(ebpf.MaxBurst), Packets: scale(ebpf.MaxPacketRate), PacketBurst: scale(ebpf.MaxPacketBurst)}
		m := ebpf.NewMeter(w)
		state := testingState{}
		state.Limit.Packets.Rate, state.Limit.Packets.Full, state.Limit.Packets.Fill = m.Packets.Rate, m.Packets.Full, m.Packets.Fill
		state.Limit.Bytes.Rate, state.Limit.Bytes.Full, state.Limit.Bytes.Fill = m.Bytes.Rate, m.Bytes.Full, m.Bytes.Fill
		state.Packets.Level, state.Bytes.Level = m.Packets.Level, m.Bytes.Level
		keys, steps := make([]uint32, n), make([]testingStep, n)
		now := uint64(1 << 40)
		for i := range steps {
			now += scale(1 << 40)
			steps[i].Now = now
			if r.UintN(20) == 0 {
				steps[i].Now -= scale(1 << 30) // another processor's clock
			}
			steps[i].Packets, steps[i].Bytes = 1+scale(64), scale(1<<19)
			keys[i] = uint32(i)
		}
		if _, err := o.Steps.BatchUpdate(keys, steps, nil); err != nil {
			t.Fatal(err)
		}
		if err := o.States.Put(uint32(0), state); err != nil {
			t.Fatal(err)
		}
		if ret, err := o.Bucket.Run(&cebpf.RunOptions{Data: make([]byte, 64), Repeat: n}); err != nil || ret != 0 {
			t.Fatalf("verdict %d, %v", ret, err)
		}
		var cursor cebpf.MapBatchCursor
		results := make([]testingResult, 131072)
		if got, err := o.Results.BatchLookup(&cursor, make([]uint32, len(results)), results, nil); got < n {
			t.Fatalf("%d results, %v", got, err)
		}
		for i, s := range steps {
			reason := m.Charge(s.Now, s.Packets, s.Bytes)
			var want testingResult
			want.Reason = uint64(reason)
			want.Packets.Level, want.Packets.Last = m.Packets.Level, m.Packets.Last
			want.Bytes.Level, want.Bytes.Last = m.Bytes.Level, m.Bytes.Last
			if results[i] != want {
				t.Fatalf("way %+v, step %d %+v:\nkernel %+v\nGo     %+v", w, i, s, results[i], want)
			}
		}
	}
}
