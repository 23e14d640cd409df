// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"os"
	"testing"
	"time"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// What a packet costs in the kernel, as the kernel times it: nothing, a program that
// does nothing within the node's instructions, that of the examples, and one whose calls
// copy all that they may.
func BenchmarkRootProgram(b *testing.B) {
	needRoot(b)
	nothing, err := cebpf.NewProgram(&cebpf.ProgramSpec{Type: cebpf.CGroupSKB, AttachType: cebpf.AttachCGroupInetIngress, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}})
	if err != nil {
		b.Fatal(err)
	}
	defer nothing.Close()
	calm, err := os.ReadFile("../../examples/packets/bpf/calm.o")
	if err != nil {
		b.Fatal(err)
	}
	programs := map[string]*cebpf.Program{"nothing": nothing}
	for name, object := range map[string][]byte{"refuse": objectOf(b, "none"), "calm": calm, "worst": objectOf(b, "worst")} {
		p, err := load(object)
		if err != nil {
			b.Fatal(err)
		}
		defer p.close()
		programs[name] = p.code[out]
	}
	syn := make([]byte, 14+20+20)
	syn[12], syn[14], syn[17], syn[23] = 8, 0x45, 40, 6
	syn[14+20+12], syn[14+20+13] = 5<<4, 2
	for _, name := range []string{"nothing", "refuse", "calm", "worst"} {
		b.Run(name, func(b *testing.B) {
			took := time.Duration(0)
			for n := b.N; n > 0; {
				batch := min(n, 1<<20)
				_, each, err := programs[name].Benchmark(syn, batch, nil)
				if err != nil {
					b.Fatal(err)
				}
				took += each * time.Duration(batch)
				n -= batch
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/packet")
		})
	}
}
