// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"croft/lease"
)

// maxSeen bounds the statements among which a proof is looked for.
const maxSeen = 10_000

// madeOf is a proof that was found, and where it is.
type madeOf struct {
	proved
	File string `json:"file"`
}

func (a *app) conflictFind() *cobra.Command {
	return &cobra.Command{
		Use: "find FILE...", Short: "Look for broken promises among statements that you hold, with no daemon", Args: cobra.MinimumNArgs(1),
		Long: `Look for proofs among tickets (as files or as text) and among leases and revokes (files
with one signed statement in base64 each): a slot or a tranche that was given twice,
slots that weigh more than their claim may carry, a revoke without the lease's grace.
Each proof is kept in HOME/proofs. That nothing is found says only that it is not in
these files: exit code 3.`,
		Example: "  croft conflict find mine.ticket hers.ticket",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := a.search(cmd.Context(), args)
			if err != nil {
				return err
			}
			if len(found) == 0 {
				return fail(exitNothing, "", "no broken promise in %d files", len(args))
			}
			out := make([]madeOf, len(found))
			for i, p := range found {
				shown, err := p.Verify()
				if err != nil {
					return fmt.Errorf("a proof of our own making: %w", err)
				}
				out[i].proved = provedOf(p, shown, p.Bytes())
				if out[i].File, err = a.saveProof(p, shown); err != nil {
					return err
				}
			}
			return printEach(a, out, "PROOF\tWHAT\tPRINCIPAL\tFILE", func(w io.Writer, m madeOf) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.ID.Short(), what(m.Kind), m.Principal.Short(), m.File)
			})
		},
	}
}

// search finds every proof that the files make together.
func (a *app) search(ctx context.Context, files []string) (found []lease.Proof, err error) {
	witness := lease.NewWitness(maxSeen)
	leases, ends := map[lease.ID]lease.Opened{}, []lease.Opened{}
	for _, file := range files {
		if o, ok, err := readStatement(file); err != nil {
			return nil, err
		} else if ok {
			switch o.Kind() {
			case lease.KindLease:
				leases[o.ID] = o
			case lease.KindRevoke:
				ends = append(ends, o)
			default:
				return nil, usage("tickets, leases and revokes are", "%s: a %s is not looked at", file, o.Kind())
			}
			continue
		}
		raw, err := a.tickets(ctx, file)
		if err != nil {
			return nil, err
		}
		for _, r := range raw {
			root, err := lease.Open(r.chain[0])
			if err != nil {
				return nil, because(err, usage("ask its issuer for it again", "%s: %w", file, err))
			}
			chain, err := lease.VerifyChain(r.chain, root.By())
			if err != nil {
				return nil, because(err, usage("ask its issuer for it again", "%s: %w", file, err))
			}
			proofs, err := witness.See(chain)
			if err != nil {
				return nil, err
			}
			found = append(found, proofs...)
		}
	}
	for _, end := range ends {
		of, ok := leases[end.Statement.(*lease.Revoke).Claim]
		if !ok {
			continue
		}
		p := lease.Proof{K: lease.ProofGrace, Evidence: [][]byte{of.Signed.Bytes(), end.Signed.Bytes()}}
		if _, err := p.Verify(); err == nil { // else it had its grace
			found = append(found, p)
		}
	}
	return found, nil
}

// readStatement reads a file that holds one signed statement in base64; ok is
// false if it holds anything else.
func readStatement(file string) (o lease.Opened, ok bool, err error) {
	f, err := os.Open(file)
	if err != nil {
		return o, false, nil // may be a ticket's name
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 2*lease.MaxStatement))
	if err != nil {
		return o, false, err
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) == 0 {
		return o, false, nil
	}
	if o, err = lease.Open(b); err != nil {
		return o, false, because(err, usage("", "%s: %w", file, err))
	}
	return o, true, nil
}
