// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/node/api"
)

func (a *app) auditCapture() *cobra.Command {
	var file, node string
	var req api.CaptureRequest
	c := &cobra.Command{
		Use: "capture SLICE [-w FILE]", Short: "Capture the packets of a slice, on all of its nodes",
		Long: `Capture the packets of every sliver of a slice as pcapng, with one interface each,
named NODE/SLIVER. A node shows what the sliver sent before its guard saw it, so
that what the guard dropped is there too, and what came to the sliver after guard
and shaper. It ends when every node has reached a bound, or with Ctrl-C. How many
packets a node was too slow to capture is in the file and on standard error.

A filter is terms with "and" between them. A term is tcp, udp, icmp, icmp6, arp,
ip, ip6, or with src or dst before it or neither: host ADDRESS, net PREFIX,
port NUMBER; with not before it, its contrary.`,
		Example: "  croft audit capture web -w web.pcapng --for 30s --filter 'host 192.0.2.1 and port 53'\n  croft audit capture web | wireshark -k -i -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if req.For <= 0 || req.Packets == 0 || req.Bytes == 0 || req.Snap <= 0 {
				return usage("", "--for, --packets, --bytes and --snap want more than nothing")
			}
			filter, err := slivernet.ParseFilter(req.Filter)
			if err != nil {
				return usage("croft audit capture --help", "--filter: %w", err)
			}
			t, err := a.target(cmd.Context(), args[0], lease.VerbAudit)
			if err != nil {
				return err
			}
			if t, err = only(t, node); err != nil {
				return err
			}
			out := a.out
			if file != "-" {
				f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
				if err != nil {
					return err
				}
				defer f.Close()
				out = f
			} else if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				return usage("write it to a file with -w FILE, or pipe it into wireshark -k -i -", "this is no text, and here is a terminal")
			}
			return a.capture(cmd.Context(), t, req, filter, out)
		},
	}
	c.Flags().StringVarP(&file, "write", "w", "-", "file; - is standard output")
	c.Flags().StringVar(&node, "node", "", "only this node's sliver")
	c.Flags().DurationVar(&req.For, "for", 10*time.Second, "how long, at most 10m")
	c.Flags().Uint64Var(&req.Packets, "packets", 100_000, "how many packets of each sliver")
	c.Flags().Uint64Var(&req.Bytes, "bytes", 16<<20, "how much of each sliver")
	c.Flags().IntVar(&req.Snap, "snap", 128, "bytes kept of each packet")
	c.Flags().StringVar(&req.Filter, "filter", "", "only packets such as 'host 192.0.2.1 and port 53'")
	return c
}

// capture merges what all slivers' nodes send into one file. Who leaves has
// what came until then.
func (a *app) capture(ctx context.Context, t target, req api.CaptureRequest, filter slivernet.Filter, w io.Writer) error {
	file := slivernet.NewMerged(w)
	out := a.group(ctx, t, func(ctx context.Context, n remote) error {
		name := n.Name + "/" + n.Sliver.Sliver
		pr, pw := io.Pipe()
		var done api.Captured
		ended := make(chan error, 1)
		go func() {
			var err error
			done, err = n.Capture(ctx, n.Sliver.Sliver, req, pw)
			pw.CloseWithError(err) // the reader ends with it
			ended <- err
		}()
		intf, err := file.Add(pr, slivernet.Recording{Name: name, Filter: filter, Snap: req.Snap, Packets: req.Packets, Bytes: req.Bytes})
		pr.CloseWithError(errMerged) // who writes on ends with it
		if was := <-ended; was != nil && !errors.Is(was, errMerged) {
			err = was
		}
		if err != nil && ctx.Err() != nil {
			a.say("%s: interrupted; what it lost is not known", name)
			return nil
		}
		if err != nil {
			return err
		}
		end := slivernet.Recorded{Received: done.Received, Lost: done.Lost, Began: done.Began, Over: done.Over}
		if err := file.End(intf, end); err != nil {
			return err
		}
		a.say("%s", captureLine(name, done))
		return nil
	})
	if err := file.Close(); err != nil {
		return err
	}
	return a.summary(out)
}

var errMerged = errors.New("not read any further")

// captureLine says how a capture ended, and what is not in it.
func captureLine(name string, c api.Captured) string {
	s := fmt.Sprintf("%s: %d packets (%s)", name, c.Packets, map[string]string{"time": "the time is over", "packets": "as many as asked for",
		"bytes": "as much as asked for", "sliver": "the sliver is gone"}[c.Ended])
	s += fmt.Sprintf(", %d lost", c.Lost)
	for _, way := range []struct {
		said    string
		dropped map[string]uint64
	}{{"the guard dropped of what it sent", c.GuardOut}, {"and of what came, not shown", c.GuardIn}} {
		if len(way.dropped) == 0 {
			continue
		}
		var parts []string
		for _, reason := range slices.Sorted(maps.Keys(way.dropped)) {
			parts = append(parts, fmt.Sprintf("%d %s", way.dropped[reason], word(reason)))
		}
		s += fmt.Sprintf("; %s: %s", way.said, strings.Join(parts, ", "))
	}
	return s
}

// word is a node's word for a reason, as far as it is one.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r == '-' {
			return r
		}
		return '?'
	}, s[:min(len(s), 32)])
}
