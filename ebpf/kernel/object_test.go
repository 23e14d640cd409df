// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"croft/ebpf"
)

// The objects in the repository are what the sources compile to.
func TestObjectsAreFresh(t *testing.T) {
	if _, err := exec.LookPath("clang-14"); err != nil {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("CROFT_REQUIRE_ROOT=1, and clang-14 is missing")
		}
		t.Skip("needs clang-14")
	}
	// bpf2go writes beside the package that asks; a copy of it asks here.
	dir, err := os.MkdirTemp(".", "_fresh") // a name that ./... passes over
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.CopyFS(filepath.Join(dir, "bpf"), os.DirFS("bpf")); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "generate.go"), source, 0o644); err != nil {
		t.Fatal(err)
	}
	generate := exec.Command("go", "generate", ".")
	generate.Dir = dir
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"guard_bpfel.o", "guard_bpfel.go", "testing_bpfel_test.o", "testing_bpfel_test.go"} {
		have, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what its source compiles to: run go generate ./ebpf/kernel", name)
		}
	}
}

// defines reads the numbers that the C headers name.
func defines(t *testing.T) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	files, err := filepath.Glob("bpf/*.[hc]")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`(?m)^#define (\w+) (\d+|\(1 << (\d+)\))(?:U?LL)?(?:\s|$)`)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range form.FindAllStringSubmatch(string(b), -1) {
			digits := m[2]
			if m[3] != "" {
				digits = m[3]
			}
			n, err := strconv.ParseUint(digits, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if m[3] != "" {
				n = 1 << n
			}
			found[m[1]] = n
		}
	}
	return found
}

// C and Go call the same things by the same numbers.
func TestHeadersAgree(t *testing.T) {
	c := defines(t)
	want := map[string]uint64{
		"MAX_SLIVERS": ebpf.MaxSlivers, "MAX_RULES": ebpf.MaxRules, "MAX_FLOWS": ebpf.MaxFlows, "MAX_HEADERS": ebpf.MaxHeaders,
		"EGRESS": uint64(ebpf.Egress), "INGRESS": uint64(ebpf.Ingress),
		"BYTE_UNITS": ebpf.ByteUnits, "PACKET_UNITS": ebpf.PacketUnits,
		"PROTO_ARP": ebpf.ProtoARP, "PROTO_FRAGMENT": ebpf.ProtoFragment,
		"PROTO_NODE": ebpf.ProtoNode, "PROTO_OVERFLOW": ebpf.ProtoOverflow, "CHARGE_UNIT": ebpf.ChargeUnit, "MAX_OPTOUT": ebpf.MaxOptOut,
		"LEAF_LINK": ebpf.LinkRate, "LEAF_NEW": ebpf.LeafNew,
		"DAY_NS": uint64(ebpf.Day), "WAYS": 8, "PAGE_SETS": pageFlows / 8, "MAX_PAGES": maxPages, "NEVER": never,
		"OPEN": uint64(ebpf.Open), "SHUT": uint64(ebpf.Shut), "OPEN_DNS": uint64(ebpf.OpenDNS),
		"CONTROL_EPOCH": uint64(controlEpoch), "CONTROL_KEPT": uint64(controlKept),
		"CONTROL_SERIES": uint64(controlSeries), "CONTROL_TENURE": uint64(controlTenure), "CONTROL_RULES": uint64(controlRules),
		"REASONS": uint64(len(guardMeter{}.Dropped)),
	}
	for r := range ebpf.Reason(ebpf.NumReasons) {
		want["REASON_"+strings.ToUpper(strings.ReplaceAll(r.String(), "-", "_"))] = uint64(r)
	}
	for name, n := range want {
		if got, ok := c[name]; !ok || got != n {
			t.Errorf("%s is %d in C (found %v), %d in Go", name, got, ok, n)
		}
	}
	for name := range c {
		if _, ok := want[name]; !ok && strings.HasPrefix(name, "REASON_") {
			t.Errorf("%s has no name in Go", name)
		}
	}
	if ebpf.NumReasons > len(guardMeter{}.Dropped) {
		t.Error(fmt.Errorf("%d reasons do not fit into the maps", ebpf.NumReasons))
	}
	if n := len(guardTenure{}.Sliver); n != ebpf.MaxName {
		t.Errorf("a sliver's name has %d bytes in C, %d in Go", n, ebpf.MaxName)
	}
}
