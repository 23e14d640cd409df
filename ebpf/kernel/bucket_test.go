// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"math/rand/v2"
	"testing"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// The kernel's bucket and Go's take the same random steps: 16 limits
// × 65,536, of which none is rounded.
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

	met, kept := map[ebpf.Reason]int{}, map[ebpf.Reason]int{} // of all, and of those that stayed sparse
	none := func() ebpf.Reason { return ebpf.ReasonNone }
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	scale := func(limit uint64) uint64 { return r.Uint64N(limit+1) >> r.UintN(40) }
	const n = 65536
	for round := range 16 {
		now := uint64(1 << 40)
		l := ebpf.Limits{
			Egress:   ebpf.Way{Rate: scale(ebpf.MaxRate), Burst: scale(ebpf.MaxBurst), Packets: scale(ebpf.MaxPacketRate), PacketBurst: scale(ebpf.MaxPacketBurst)},
			FlowsNew: scale(1 << 16), Daily: scale(ebpf.MaxDaily), DayFrom: int64(now - scale(1<<45)), Deadline: int64(now + scale(1<<56) + 1),
		}
		if kind := round % 8; kind < 3 { // where one thing runs out before all others
			wide := ebpf.Way{Rate: ebpf.MaxRate, Burst: ebpf.MaxBurst, Packets: ebpf.MaxPacketRate, PacketBurst: ebpf.MaxPacketBurst}
			l.Egress, l.FlowsNew, l.Daily = wide, 0, 0
			switch kind {
			case 0:
				l.FlowsNew = 1 + r.Uint64N(4)
			case 1:
				l.Daily = 1<<20 + scale(1<<30)
			case 2:
				l.Egress.Rate, l.Egress.Burst = 1<<16, 1<<20
			}
		}
		m := ebpf.MeterOf(l, ebpf.Egress, int64(now))
		state := testingState{Purse: pursed(m)}
		state.Limit.Packets, state.Limit.Bytes, state.Flows = limited(m.Packets), limited(m.Bytes), limited(m.Flows)
		var limits guardPortLimits
		fillDay(&limits, m.Day)
		state.Day.Bytes, state.Day.Mark = limits.Day.Bytes, limits.Day.Mark
		state.Day.LastBytes, state.Day.LastMark = limits.Day.LastBytes, limits.Day.LastMark
		state.Day.LastFrom, state.Day.LastEnd = limits.Day.LastFrom, limits.Day.LastEnd
		keys, steps := make([]uint32, n), make([]testingStep, n)
		for i := range steps {
			now = min(now+scale(1<<40), uint64(l.Deadline)-1) // later, nothing is charged
			steps[i].Now = now
			if r.UintN(20) == 0 {
				steps[i].Now -= scale(1 << 30) // another processor's clock
			}
			steps[i].Packets, steps[i].Bytes, steps[i].Fresh = 1+scale(64), scale(1<<19), uint64(r.UintN(2))
			steps[i].Sparse = uint64(r.UintN(2))
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
			sparse := s.Sparse != 0
			reason := m.ChargeIf(s.Now, s.Packets, s.Bytes, s.Fresh != 0, &sparse, none, none)
			met[reason]++
			want := testingResult{Reason: uint64(reason), Purse: pursed(m)}
			if sparse {
				want.Sparse = 1
				kept[reason]++
			}
			if results[i] != want {
				t.Fatalf("limits %+v, step %d %+v:\nkernel %+v\nGo     %+v", l, i, s, results[i], want)
			}
		}
	}
	t.Logf("%v, of them sparse %v", met, kept)
	if kept[ebpf.ReasonNone] == 0 || kept[ebpf.ReasonNone] == met[ebpf.ReasonNone] {
		t.Errorf("%d of %d that passed are sparse, which tests one side only", kept[ebpf.ReasonNone], met[ebpf.ReasonNone])
	}
	if kept[ebpf.ReasonBytes] != 0 || kept[ebpf.ReasonPackets] != 0 {
		t.Errorf("what was sparse found no room: %v", kept)
	}
	for _, reason := range []ebpf.Reason{ebpf.ReasonNone, ebpf.ReasonPackets, ebpf.ReasonFlows, ebpf.ReasonDaily, ebpf.ReasonBytes} {
		if met[reason] == 0 {
			t.Errorf("no step ended with %s", reason)
		}
	}
}

func limited(b ebpf.Bucket) (l testingBucketLimit) {
	l.Rate, l.Full, l.Fill, l.Keep = b.Rate, b.Full, b.Fill, b.Keep
	return l
}

func pursed(m ebpf.Meter) (p testingPurse) {
	p.Packets.Level, p.Packets.Kept, p.Packets.Last = m.Packets.Level, m.Packets.Kept, m.Packets.Last
	p.Bytes.Level, p.Bytes.Kept, p.Bytes.Last = m.Bytes.Level, m.Bytes.Kept, m.Bytes.Last
	p.Flows.Level, p.Flows.Last = m.Flows.Level, m.Flows.Last
	p.Day.From, p.Day.Spent = m.Day.From, m.Day.Spent
	return p
}
