// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) roleAsk() *cobra.Command {
	return &cobra.Command{
		Use: "ask ROLE CALL QUESTION", Short: "Put a question to a role, and print what was decided", Args: cobra.ExactArgs(3),
		Long: `Put a question to a role, in JSON as docs/roles has it, and print the answer, verified,
of whoever fills the role. The node adds what it knows of nodes that are named alone.
This is for roles whose answers are one line: find asks discovery.`,
		Example: `  croft role ask names lookup '{"name":"alice"}'
  croft role ask topology paths '{"to":{"node":"NODE"}}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !json.Valid([]byte(args[2])) {
				return usage("such as '{\"name\":\"alice\"}'", "the question is no JSON")
			}
			var answer json.RawMessage
			from, err := a.way().AskRole(cmd.Context(), args[0], args[1], json.RawMessage(args[2]), &answer)
			if err != nil {
				return err
			}
			a.instead(from)
			return a.print(from, func(w io.Writer) { fmt.Fprintf(w, "%s\n", answer) })
		},
	}
}
