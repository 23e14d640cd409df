// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"runtime"
	"testing"

	cebpf "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// No map takes more in the kernel than is counted of it, made by who has no more than
// the loader.
func TestRootMemoryOfMaps(t *testing.T) {
	needRoot(t)
	cpus, err := cebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	var specs []cebpf.MapSpec
	for kind := range kinds {
		for _, entries := range []uint32{1, 3, 129, 1025} {
			for _, value := range []uint32{1, 12, MaxValue} {
				key := uint32(4)
				if kind == cebpf.Hash || kind == cebpf.LRUHash {
					key = 37
				}
				specs = append(specs, cebpf.MapSpec{Type: kind, KeySize: key, ValueSize: value, MaxEntries: entries})
			}
		}
	}
	over := make(chan bool)
	go func() {
		defer close(over)
		runtime.LockOSThread() // it ends with this, and what it may do as well
		var caps [2]unix.CapUserData
		caps[unix.CAP_BPF/32].Effective = 1 << (unix.CAP_BPF % 32)
		caps[unix.CAP_BPF/32].Permitted = caps[unix.CAP_BPF/32].Effective
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &caps[0]); err != nil {
			t.Error(err)
			return
		}
		for _, spec := range specs {
			m, err := cebpf.NewMap(&spec)
			if err != nil {
				t.Errorf("%+v: %v", spec, err)
				continue
			}
			info, err := m.Info()
			if err != nil {
				t.Error(err)
			} else if takes, ok := info.Memlock(); !ok || takes > memory(&spec, uint64(cpus)) {
				t.Errorf("%s of %d × %d: takes %d, %v, counted %d", spec.Type, spec.MaxEntries, spec.ValueSize, takes, ok, memory(&spec, uint64(cpus)))
			}
			m.Close()
		}
	}()
	<-over
}
