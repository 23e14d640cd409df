// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// total is what is counted under one program, by way.
type total struct {
	Seen, Refused [ways]uint64
}

// own are the node's own maps of a program.
type own struct {
	force    *cebpf.Map // [1]uint64: 1 if its verdicts count
	totals   *cebpf.Map // [1]total
	refusals *cebpf.Map // id of a cgroup → packets refused; of too many, who was not for longest is forgotten
}

func (o own) all() []*cebpf.Map { return []*cebpf.Map{o.force, o.totals, o.refusals} }

// ownSpecs are the same, in that order.
var ownSpecs = []cebpf.MapSpec{
	{Name: "croft_force", Type: cebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1},
	{Name: "croft_totals", Type: cebpf.Array, KeySize: 4, ValueSize: 8 * 2 * ways, MaxEntries: 1},
	{Name: "croft_refusals", Type: cebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: maxCounted},
}

// wrap puts the node's instructions around those of a program, which becomes a
// function of theirs: they count, and return 1, that a packet passes, or 0, that it
// does not, and no other number, some of which mean something to the kernel on the way
// out. Of a program whose verdicts are not in force everything passes.
func wrap(code asm.Instructions, w way, o own) asm.Instructions {
	seen, refused := int16(8*w), int16(8*(ways+w))
	all := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.Call.Label("program"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.Mov.Imm(asm.R2, 1),
		asm.LoadMapValue(asm.R1, o.totals.FD(), 0),
		asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, seen),
		asm.JNE.Imm(asm.R7, 0, "passes"),
		asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, refused),
		asm.LoadMapValue(asm.R1, o.force.FD(), 0),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "passes"),

		// Whose it is that was refused.
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.FnSkbCgroupId.Call(),
		asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, o.refusals.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.Mov.Imm(asm.R1, 1),
		asm.JEq.Imm(asm.R0, 0, "first"),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Ja.Label("refuse"),
		asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord).WithSymbol("first"),
		asm.LoadMapPtr(asm.R1, o.refusals.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -8),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, -16),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("refuse"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("passes"),
		asm.Return(),
	}
	code[0] = code[0].WithSymbol("program")
	return append(all, code...)
}
