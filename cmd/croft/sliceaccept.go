// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
)

// accepted is a grant that is kept now.
type accepted struct {
	Slice string      `json:"slice"` // as it is typed
	ID    lease.ID    `json:"id"`
	Verbs lease.Verbs `json:"verbs"`
	Until int64       `json:"until"`
	File  string      `json:"file"`
}

func (a *app) sliceAccept() *cobra.Command {
	return &cobra.Command{
		Use: "accept FILE", Short: "Keep a grant that a slice's owner sent you", Args: cobra.ExactArgs(1),
		Long: "Check a grant's file and keep it in HOME/grants. From then on ps, logs, exec, stop, renew, run --name and audit flows take LABEL@OWNER, as far as the grant goes.",
		RunE: func(_ *cobra.Command, args []string) error { return a.take(args[0], false) },
	}
}

// take keeps a grant and says what it is good for.
func (a *app) take(path string, device bool) error {
	g, err := a.accept(path, device)
	if err != nil {
		return err
	}
	return a.print(accepted{g.name(), g.ID, g.Verbs, g.Until, g.path}, func(w io.Writer) {
		fmt.Fprintf(w, "%s: you may %s for %s\n", g.name(), g.Verbs, left(g.Until-time.Now().Unix()))
	})
}
