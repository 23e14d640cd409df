// SPDX-License-Identifier: Apache-2.0

package kernel

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -cflags "-O2 -mcpu=v3 -Wall -Werror -Wno-unused-function -I/usr/include/x86_64-linux-gnu" -type port_limits -type meter -type meter_key -type tally -type bucket -type bucket_limit -type page_key -type page -type fan -type secret -type address -type flow_key -type flow -type tenure guard bpf/guard.bpf.c
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -cflags "-O2 -mcpu=v3 -Wall -Werror -Wno-unused-function -I/usr/include/x86_64-linux-gnu" -output-suffix _test -type state -type step -type result -type purse -type bucket_limit testing bpf/testing.bpf.c
//go:generate sed -i "1i // SPDX-License-Identifier: Apache-2.0\n" guard_bpfel.go testing_bpfel_test.go
