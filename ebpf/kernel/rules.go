// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// writeRules makes the tries say what rules say. New rules are in before stale
// ones go, so that a range that both close is never open.
func writeRules(o *objects, rules ebpf.Rules) error {
	want4, want6 := map[guardRule4]uint32{}, map[guardRule6]uint32{}
	for _, r := range rules {
		if a := r.Prefix.Addr(); a.Is4() {
			want4[guardRule4{Bits: uint32(r.Prefix.Bits()), Addr: a.As4()}] = uint32(r.Verdict)
		} else {
			want6[guardRule6{Bits: uint32(r.Prefix.Bits()), Addr: a.As16()}] = uint32(r.Verdict)
		}
	}
	if err := makeSay(o.Rules4, want4); err != nil {
		return err
	}
	return makeSay(o.Rules6, want6)
}

func makeSay[K comparable](trie *cebpf.Map, want map[K]uint32) error {
	for k, v := range want {
		if err := trie.Put(k, v); err != nil {
			return err
		}
	}
	var stale []K
	var k K
	var v uint32
	entries := trie.Iterate()
	for entries.Next(&k, &v) {
		if _, ok := want[k]; !ok {
			stale = append(stale, k)
		}
	}
	if err := entries.Err(); err != nil {
		return err
	}
	for _, k := range stale {
		if err := trie.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
