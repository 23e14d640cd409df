// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/node/api"
)

// alarmAge is how old an alarm may be for `croft doctor` to tell of it: what an
// owner has seen and mended should not stay on his screen for a month.
const alarmAge = 24 * time.Hour

func (a *app) auditAlarms() *cobra.Command {
	var since time.Duration
	c := &cobra.Command{
		Use: "alarms", Short: "What is wrong with your node's own record", Args: cobra.NoArgs,
		Long: `List what the node behind the socket found wrong with its record of packets, for as long
as the record is kept:
  identity  an account does not balance: what was seen is not what was recorded,
            dropped or counted as unrecorded
  gap       epochs are missing, with what they saw
  disk      the disk was full, and rows waited in the kernel
  budget    rows went before their time, for room
Exit code 1 says that there is one. ` + "`croft doctor`" + ` tells of those of the last day.`,
		Example: "  croft audit alarms --since 24h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.alarms(cmd.Context(), since)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				a.say("no alarms")
			}
			if err := printEach(a, list, "WHEN\tKIND\tWHAT", func(w io.Writer, x api.Alarm) {
				fmt.Fprintf(w, "%s\t%s\t%s\n", x.At.Local().Format(time.DateTime), x.Kind, printable(x.Text))
			}); err != nil {
				return err
			}
			if len(list) > 0 {
				return &failure{code: exitFailed, reason: "alarm", err: fmt.Errorf("alarms about this node's record: %d", len(list))}
			}
			return nil
		},
	}
	c.Flags().DurationVar(&since, "since", 0, "only those of so long ago at the most; 0: all")
	return c
}

// alarms are those of the node behind the socket, of so long ago at the most.
func (a *app) alarms(ctx context.Context, since time.Duration) ([]api.Alarm, error) {
	list, err := a.way().Alarms(ctx)
	var out []api.Alarm
	for _, x := range list {
		if since <= 0 || time.Since(x.At) <= since {
			out = append(out, x)
		}
	}
	return out, err
}

// record is doctor's finding about the record of the node behind the socket.
func (a *app) record(ctx context.Context) (f finding, ok bool) {
	list, err := a.alarms(ctx, alarmAge)
	if err != nil {
		return f, false // no daemon is needed
	}
	f = finding{Kind: "record", Name: "record of packets", OK: len(list) == 0, Found: "no alarm in " + alarmAge.String()}
	if len(list) > 0 {
		last := list[len(list)-1]
		f.Found = fmt.Sprintf("alarms in %s: %d, the last at %s: %s: %s", alarmAge, len(list), last.At.Local().Format(time.DateTime), last.Kind, printable(last.Text))
		f.Mend = "croft audit alarms lists them; docs/audit.md says what they mean"
	}
	return f, true
}
