// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"
)

func TestScreen(t *testing.T) {
	end := asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}
	jump := func(op asm.JumpOp, by int16) asm.Instruction {
		in := op.Imm(asm.R2, 0, "")
		in.Offset = by
		return in.WithReference("")
	}
	far := asm.Instruction{OpCode: asm.OpCode(asm.Jump32Class).SetJumpOp(asm.Ja), Constant: -2}
	const writes = "it writes to the packet's fields"
	for name, c := range map[string]struct {
		list asm.Instructions
		why  string
	}{
		"passes":             {nil, ""},
		"reads a field":      {asm.Instructions{asm.LoadMem(asm.R2, asm.R1, 8, asm.Word)}, ""},
		"writes a field":     {asm.Instructions{asm.StoreImm(asm.R1, 8, 1, asm.Word)}, writes},
		"a copy":             {asm.Instructions{asm.Mov.Reg(asm.R7, asm.R1), asm.StoreMem(asm.R7, 152, asm.R7, asm.DWord)}, writes},
		"of an offset":       {asm.Instructions{asm.Mov.Imm(asm.R3, 8), asm.Add.Reg(asm.R3, asm.R1), asm.StoreImm(asm.R3, 0, 1, asm.Word)}, writes},
		"from the stack":     {asm.Instructions{asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord), asm.LoadMem(asm.R4, asm.RFP, -8, asm.DWord), asm.StoreImm(asm.R4, 32, 1, asm.Word)}, writes},
		"by an exchange":     {asm.Instructions{asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord), asm.Xchg.Mem(asm.RFP, asm.R4, asm.DWord, -8), asm.StoreImm(asm.R4, 32, 1, asm.Word)}, writes},
		"compared":           {asm.Instructions{asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord), asm.CmpXchg.Mem(asm.RFP, asm.R4, asm.DWord, -8), asm.StoreImm(asm.R0, 32, 1, asm.Word)}, writes},
		"added to":           {asm.Instructions{asm.AddAtomic.Mem(asm.R1, asm.R2, asm.Word, 8)}, writes},
		"on one of two ways": {asm.Instructions{asm.Mov.Imm(asm.R2, 1), jump(asm.JEq, 1), asm.Mov.Reg(asm.R2, asm.R1), asm.StoreImm(asm.R2, 8, 1, asm.Word)}, writes},
		"not any more":       {asm.Instructions{asm.Mov.Reg(asm.R1, asm.RFP), asm.StoreImm(asm.R1, -8, 1, asm.Word)}, ""},
		"not after a call":   {asm.Instructions{asm.FnKtimeGetNs.Call(), asm.StoreImm(asm.R1, -8, 1, asm.Word)}, ""}, // the verifier's
		"goes back":          {asm.Instructions{jump(asm.JEq, -1)}, "it goes back"},
		"goes back far":      {asm.Instructions{asm.Mov.Imm(asm.R2, 1), far}, "it goes back"},
		"into a constant":    {asm.Instructions{jump(asm.JEq, 1), asm.LoadImm(asm.R3, 1<<40, asm.DWord)}, "where no instruction begins"},
		"beyond the end":     {asm.Instructions{jump(asm.JEq, 100)}, "where no instruction begins"},
		"may go":             {asm.Instructions{{OpCode: 0xe5, Offset: 1}}, "a jump of an unknown kind"},
		"calls the kernel":   {asm.Instructions{{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: 7}}, "a call of a function"},
		"calls nothing":      {asm.Instructions{{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Constant: -1}}, "is not allowed"},
		"loads as of old":    {asm.Instructions{asm.LoadAbs(0, asm.Byte)}, "neither a constant nor a map"},
		"loads a function":   {asm.Instructions{{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: 1}}, "neither a constant nor a map"},
		"another atomic":     {asm.Instructions{asm.LoadAcquire(asm.R2, asm.RFP, asm.DWord, -8)}, "an atomic of an unknown kind"},
		"a register too far": {asm.Instructions{{OpCode: asm.Mov.Imm(asm.R0, 0).OpCode, Dst: 12}}, "no such register"},
	} {
		err := screen(append(append(asm.Instructions{}, c.list...), end...))
		if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %v; want %q", name, err, c.why)
		}
	}
	for name, list := range map[string]asm.Instructions{"no end": {asm.Mov.Imm(asm.R0, 1)}, "empty": {}} {
		if screen(list) == nil {
			t.Errorf("%s is taken", name)
		}
	}
	var calls asm.Instructions
	for range MaxCalls + 1 {
		calls = append(calls, asm.FnKtimeGetNs.Call())
	}
	if screen(append(append(asm.Instructions{}, calls[:MaxCalls]...), end...)) != nil || screen(append(calls, end...)) == nil {
		t.Error("the bound on calls is another")
	}
}
