// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/sign"
	"croft/node/api"
)

func (a *app) topicPub() *cobra.Command {
	var lines bool
	c := &cobra.Command{
		Use: "pub TOPIC [WORD…]", Short: "Say something on a topic", Args: cobra.MinimumNArgs(1),
		Long: `Sign a message and tell it to those who subscribe: the words, joined by spaces, or else
what standard input has, as one message, or with --lines each line as it comes.`,
		Example: "  croft topic pub web/status all is well\n  vmstat 5 | croft topic pub web/load --lines",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := a.mine()
			if err != nil {
				return err
			}
			t, err := a.topicNamed(args[0], key)
			if err != nil {
				return err
			}
			if may := slices.DeleteFunc(t.grants, func(g heldGrant) bool { return g.Verbs&lease.VerbPublish == 0 }); len(may) > 0 {
				if t.authority, _, err = a.authority(cmd.Context(), may, t.Slice); err != nil {
					return err
				}
			}
			if len(args) > 1 {
				if lines {
					return usage("leave --lines or the words out", "--lines reads standard input")
				}
				return a.publishOn(cmd.Context(), key, t, []byte(strings.Join(args[1:], " ")))
			}
			if !lines {
				b, err := io.ReadAll(io.LimitReader(a.in, topic.MaxData+1))
				if err != nil {
					return err
				}
				return a.publishOn(cmd.Context(), key, t, b)
			}
			in := bufio.NewScanner(a.in)
			in.Buffer(nil, topic.MaxData+2)
			for in.Scan() {
				if err := a.publishOn(cmd.Context(), key, t, in.Bytes()); err != nil {
					return err
				}
			}
			return in.Err()
		},
	}
	c.Flags().BoolVar(&lines, "lines", false, "each line of standard input is a message")
	return c
}

// publishOn says one thing on a topic.
func (a *app) publishOn(ctx context.Context, key *sign.Key, t namedTopic, data []byte) error {
	if len(data) > topic.MaxData {
		return usage("send where it can be fetched", "a message of more than %d bytes", topic.MaxData)
	}
	m := topic.Message{Author: key.Principal(), Owner: t.Owner, Slice: t.Slice, Topic: t.Topic, Made: time.Now().UnixMilli(), Data: data}
	m.Authority = t.authority
	signed, err := topic.Seal(m, key)
	if err != nil {
		return err
	}
	said, err := a.way().Say(ctx, signed.Bytes)
	switch {
	case errors.Is(err, api.ErrNoRecord):
		return fail(exitNothing, "its owner says so with `croft topic allow`", "%w", err)
	case errors.Is(err, api.ErrNotGranted):
		return fail(exitRefused, "ask its owner for `croft topic allow`, or for a grant to publish", "%w", err)
	case err != nil:
		return err
	}
	return a.print(said, func(w io.Writer) {
		switch n := said.Neighbours + said.Here; n {
		case 0:
			fmt.Fprintln(w, "nobody subscribes, as far as this node knows")
		case 1:
			fmt.Fprintln(w, "told 1 subscriber, who tells the others")
		default:
			fmt.Fprintf(w, "told %d subscribers, who tell the others\n", n)
		}
	})
}
