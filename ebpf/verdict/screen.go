// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// helpers are what a packet program may call: its own maps, the packet's bytes, time
// and chance.
var helpers = map[asm.BuiltinFunc]bool{
	asm.FnMapLookupElem: true, asm.FnMapUpdateElem: true, asm.FnMapDeleteElem: true,
	asm.FnSkbLoadBytes: true, asm.FnSkbLoadBytesRelative: true,
	asm.FnKtimeGetNs: true, asm.FnKtimeGetCoarseNs: true, asm.FnGetPrandomU32: true,
}

// held says where, before an instruction, the pointer to the packet's fields may be.
type held struct {
	reached   bool
	registers [11]bool
	stack     bool // anywhere on it
}

// screening is one pass over the instructions of a program.
type screening struct {
	list   asm.Instructions
	at     map[int]int // offset in instructions of 8 bytes → index
	before []held
	calls  int
}

// screen returns why instructions are no packet program, or nil. The kernel's verifier
// sees to memory. What it would let through is refused here: loops, functions, most
// helpers, and stores into the packet's fields, such as its mark, its priority and when
// it is to be sent.
//
// As nothing goes back, one pass sees every way to an instruction before it.
func screen(list asm.Instructions) error {
	s := screening{list: list, at: map[int]int{}, before: make([]held, len(list)+1)}
	size := 0
	for i := range list {
		s.at[size] = i
		size += int(list[i].Width())
	}
	if size > MaxInstructions {
		return fmt.Errorf("%d instructions, at most %d", size, MaxInstructions)
	}
	if size == 0 {
		return fmt.Errorf("no instructions")
	}
	s.before[0] = held{reached: true}
	s.before[0].registers[asm.R1] = true
	offset := 0
	for i := range list {
		if err := s.step(i, offset); err != nil {
			return fmt.Errorf("instruction %d: %w", offset, err)
		}
		offset += int(list[i].Width())
	}
	if s.before[len(list)].reached {
		return fmt.Errorf("it has no end")
	}
	return nil
}

// step judges one instruction and passes on what is held after it.
func (s *screening) step(i, offset int) error {
	in := &s.list[i]
	if in.Dst > asm.R10 || in.Src > asm.R10 {
		return fmt.Errorf("no such register")
	}
	now := s.before[i]
	switch class := in.OpCode.Class(); {
	case class.IsJump():
		return s.jump(i, offset, now)
	case class.IsALU():
		calculate(in, &now)
	case class == asm.LdClass:
		if !in.OpCode.IsDWordLoad() || in.Src != asm.R0 && in.Src != asm.PseudoMapFD && in.Src != asm.PseudoMapValue {
			return fmt.Errorf("a load that is neither a constant nor a map")
		}
		now.registers[in.Dst] = false
	case class == asm.LdXClass:
		if mode := in.OpCode.Mode(); mode != asm.MemMode && mode != asm.MemSXMode {
			return fmt.Errorf("a load of an unknown kind")
		}
		now.registers[in.Dst] = now.stack && in.OpCode.Size() == asm.DWord
	default:
		if err := store(in, &now); err != nil {
			return err
		}
	}
	s.pass(i+1, now)
	return nil
}

// pass has what is held reach an instruction.
func (s *screening) pass(to int, now held) {
	if !now.reached {
		return
	}
	b := &s.before[to]
	b.reached, b.stack = true, b.stack || now.stack
	for r := range b.registers {
		b.registers[r] = b.registers[r] || now.registers[r]
	}
}

func calculate(in *asm.Instruction, now *held) {
	from := in.OpCode.Source() == asm.RegSource && now.registers[in.Src]
	if in.OpCode.ALUOp() == asm.Mov {
		now.registers[in.Dst] = from
		return
	}
	now.registers[in.Dst] = now.registers[in.Dst] || from
}

// store judges what writes to memory.
func store(in *asm.Instruction, now *held) error {
	if now.registers[in.Dst] {
		return fmt.Errorf("it writes to the packet's fields")
	}
	switch in.OpCode.Mode() {
	case asm.MemMode:
		if in.OpCode.Class() == asm.StXClass && now.registers[in.Src] {
			now.stack = true // the verifier lets it go nowhere else
		}
	case asm.AtomicMode:
		switch in.OpCode.AtomicOp() {
		case asm.AddAtomic, asm.AndAtomic, asm.OrAtomic, asm.XorAtomic:
		case asm.FetchAdd, asm.FetchAnd, asm.FetchOr, asm.FetchXor, asm.Xchg:
			now.registers[in.Src] = now.stack
		case asm.CmpXchg:
			now.registers[asm.R0] = now.stack
		default:
			return fmt.Errorf("an atomic of an unknown kind")
		}
	default:
		return fmt.Errorf("a store of an unknown kind")
	}
	return nil
}

// jump judges what goes elsewhere, and passes on what is held to where it goes.
func (s *screening) jump(i, offset int, now held) error {
	in := &s.list[i]
	op := in.OpCode.JumpOp()
	switch op {
	case asm.Exit:
		return nil
	case asm.Call:
		if in.Src != asm.R0 {
			return fmt.Errorf("a call of a function: have it put in line")
		}
		if f := asm.BuiltinFunc(in.Constant); in.Constant < 0 || !helpers[f] {
			return fmt.Errorf("helper %d is not allowed", in.Constant)
		}
		if s.calls++; s.calls > MaxCalls {
			return fmt.Errorf("more than %d calls", MaxCalls)
		}
		for r := asm.R0; r <= asm.R5; r++ {
			now.registers[r] = false
		}
		s.pass(i+1, now)
		return nil
	case asm.Ja, asm.JEq, asm.JGT, asm.JGE, asm.JSet, asm.JNE, asm.JSGT, asm.JSGE, asm.JLT, asm.JLE, asm.JSLT, asm.JSLE:
	default:
		return fmt.Errorf("a jump of an unknown kind")
	}
	by := int64(in.Offset)
	if op == asm.Ja && in.OpCode.Class() == asm.Jump32Class {
		by = in.Constant // a jump of 32 bits
	}
	if by < 0 {
		return fmt.Errorf("it goes back: loops must be unrolled")
	}
	to, ok := s.at[offset+1+int(by)]
	if !ok {
		return fmt.Errorf("it goes where no instruction begins")
	}
	s.pass(to, now)
	if op != asm.Ja {
		s.pass(i+1, now)
	}
	return nil
}
