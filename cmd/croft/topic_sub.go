// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"croft/node/api"
)

func (a *app) topicSub() *cobra.Command {
	var most int
	var span time.Duration
	var raw bool
	c := &cobra.Command{
		Use: "sub TOPIC", Short: "Hear what is said on a topic, until Ctrl-C", Args: cobra.ExactArgs(1),
		Example: "  croft topic sub web/status\n  croft --json topic sub web@OWNER/status -n 10",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := a.known()
			if err != nil {
				return err
			}
			t, err := a.topicNamed(args[0], key)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			if span > 0 {
				ctx, cancel = context.WithTimeout(ctx, span)
			}
			defer cancel()
			heard, err := a.way().Hear(ctx, t.Name)
			if err != nil {
				return err
			}
			a.say("hearing %s of %s, until Ctrl-C", t.Topic, sliceAt(t.Slice, t.Owner))
			n := 0
			for m, err := range heard {
				if err != nil {
					return err
				}
				if err := a.printHeard(m, raw); err != nil {
					return err
				}
				if n++; n == most {
					return nil
				}
			}
			if most > 0 {
				return fail(exitTimeout, "is somebody publishing?", "heard %d of %d messages", n, most)
			}
			return nil
		},
	}
	c.Flags().IntVarP(&most, "number", "n", 0, "end after so many messages (0: never)")
	c.Flags().DurationVar(&span, "for", 0, "end after this long (0: never)")
	c.Flags().BoolVar(&raw, "raw", false, "only the data, as it was said, nothing between")
	return c
}

// printHeard writes one message: a line with when and who, and the data, in which
// nothing is left that a terminal would obey.
func (a *app) printHeard(m api.Heard, raw bool) error {
	var err error
	switch {
	case a.json:
		err = json.NewEncoder(a.out).Encode(m)
	case raw:
		_, err = a.out.Write(m.Data)
	default:
		_, err = fmt.Fprintf(a.out, "%s  %s  %s\n", time.UnixMilli(m.Made).Format("15:04:05.000"), m.Author.Short(), printable(string(m.Data)))
	}
	return err
}
