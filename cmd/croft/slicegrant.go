// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
)

// givenGrant says what was granted, and where its file is.
type givenGrant struct {
	ID     lease.ID        `json:"id"`
	Slice  string          `json:"slice,omitempty"` // none: all
	Holder lease.Principal `json:"holder"`
	Verbs  lease.Verbs     `json:"verbs"`
	Until  int64           `json:"until"`
	File   string          `json:"file,omitempty"`
	Record spread          `json:"record"`
}

func (a *app) sliceGrant() *cobra.Command {
	var verbs, out string
	var term time.Duration
	c := &cobra.Command{
		Use: "grant SLICE HOLDER", Short: "Let another act on a slice", Args: cobra.ExactArgs(2),
		Long: `Sign a grant for another principal: a team mate, or a keeper that renews. HOLDER is a
principal, a line of OpenSSH or a .pub file. Send him the file that this writes; he
keeps it with ` + "`croft slice accept`" + ` and types LABEL@OWNER where you type LABEL.
Verbs are run, renew, stop, logs, exec, audit, publish; nobody can pass them on.`,
		Example: "  croft slice grant web bob.pub --verbs logs,exec --for 24h --out web.grant",
		RunE: func(cmd *cobra.Command, args []string) error {
			label, err := ownLabel(args[0])
			if err != nil || label == "" {
				return usageOr(err, "`croft key device add` makes a device", "a grant is for one slice")
			}
			return a.give(cmd.Context(), label, args[1], verbs, term, out)
		},
	}
	c.Flags().StringVar(&verbs, "verbs", "", "what he may do: logs,exec")
	c.Flags().DurationVar(&term, "for", 24*time.Hour, "for how long")
	c.Flags().StringVar(&out, "out", "", "file to write (default: stdout)")
	must(c.MarkFlagRequired("verbs"))
	return c
}

func usageOr(err error, hint, text string) error {
	if err != nil {
		return err
	}
	return usage(hint, "%s", text)
}

// give signs a grant over one slice, or without a label over all, and the record
// on which it stands.
func (a *app) give(ctx context.Context, label, holder, verbs string, term time.Duration, out string) error {
	to, err := a.person(ctx, "`croft key show` prints theirs", holder)
	if err != nil {
		return err
	}
	may, err := lease.ParseVerbs(verbs)
	if err != nil {
		return usage("such as --verbs logs,exec", "%w", err)
	}
	if term < time.Second || int64(term.Seconds()) >= lease.MaxTerm {
		return usage("such as --for 24h", "a grant of %s, at most %d days", term, lease.MaxTerm/86400)
	}
	key, err := a.mine()
	if err != nil {
		return err
	}
	var signed lease.Signed
	p, err := a.publish(ctx, key, label, recordTerm, func(p *published, sequence uint64) error {
		now := time.Now().Unix()
		var err error
		signed, err = lease.Seal(&lease.Grant{K: lease.KindGrant, Issuer: key.Principal(), Holder: to, Slice: label, Verbs: may,
			From: now - lease.ClockSkew, Until: now + int64(term.Seconds()), Sequence: sequence}, key)
		if err != nil {
			return usage("", "%w", err)
		}
		o, err := signed.Open()
		p.grants = append(p.grants, o)
		return err
	})
	if err != nil {
		return err
	}
	text := encodeGrant(signed.Bytes(), p.Record)
	if out != "" {
		if err := writeNew(out, text, 0o600); err != nil {
			return err
		}
	}
	told := a.tell(ctx, key, p)
	g := givenGrant{signed.ID(), label, to, may, time.Now().Unix() + int64(term.Seconds()), out, told}
	if out == "" && !a.json {
		_, err := a.out.Write(text)
		return err
	}
	return a.print(g, func(w io.Writer) {
		fmt.Fprintf(w, "%s may %s for %s; send him %s\n", to.Short(), may, left(int64(term.Seconds())), out)
	})
}
