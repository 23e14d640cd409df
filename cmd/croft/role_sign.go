// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	programs "croft/ebpf/verdict"
	"croft/node/role"
)

func (a *app) roleSign() *cobra.Command {
	return &cobra.Command{
		Use: "sign LABEL OBJECT", Short: "Sign a packet program for a slice of your own", Args: cobra.ExactArgs(2),
		Long: `Hold an eBPF object against what a node asks of a packet program before its kernel
verifies it, sign it for a slice of your own, and print the answer that this slice gives
to a node that asks it what the role packets is for.`,
		Example: `  croft role sign calm calm.o > calm.json`,
		RunE: func(_ *cobra.Command, args []string) error {
			object, err := os.ReadFile(args[1])
			if err != nil {
				return usage("", "%w", err)
			}
			if err := programs.Check(object); err != nil {
				return usage("docs/roles/packets.md has the bounds", "%w", err)
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			p, err := role.SignProgram(key, args[0], object)
			if err != nil {
				return usage("a slice's label, such as calm", "%w", err)
			}
			return json.NewEncoder(a.out).Encode(map[string]role.Program{"program": p})
		},
	}
}
