// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/export"
	"croft/lease"
	"croft/node/api"
	"croft/node/slice"
)

// form is a file format of exported flows.
type form struct {
	name   string
	binary bool
	write  func(io.Writer, iter.Seq2[api.Flow, error]) error
}

var forms = []form{
	{"parquet", true, func(w io.Writer, flows iter.Seq2[api.Flow, error]) error { return export.Parquet(w, records(flows)) }},
	{"ipfix", true, func(w io.Writer, flows iter.Seq2[api.Flow, error]) error {
		return export.IPFIX(w, time.Now(), records(flows))
	}},
	{"csv", false, func(w io.Writer, flows iter.Seq2[api.Flow, error]) error { return export.CSV(w, records(flows)) }},
	{"jsonl", false, func(w io.Writer, flows iter.Seq2[api.Flow, error]) error {
		enc := json.NewEncoder(w)
		for f, err := range flows {
			if err == nil {
				err = enc.Encode(f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}},
}

// formOf is the format that is named, or that a file's name ends in.
func formOf(name, file string) (form, error) {
	want := name
	if want == "" {
		want = strings.TrimPrefix(filepath.Ext(file), ".")
	}
	var names []string
	for _, f := range forms {
		if f.name == want {
			return f, nil
		}
		names = append(names, f.name)
	}
	if name == "" {
		return form{}, usage("--format "+strings.Join(names, "|"), "no format is named, and %q tells none", file)
	}
	return form{}, usage(didYouMean(name, names), "no format %q", name)
}

func (a *app) auditExport() *cobra.Command {
	var format, file, from, until string
	var node, earlier bool
	c := &cobra.Command{
		Use: "export SLICE|--node -o FILE", Short: "Write recorded flows for other programs to read",
		Long: `Write every recorded flow of one of your slices, from all of its nodes, or with
--node those of every slice on the node behind the socket, as Parquet, IPFIX
(RFC 7011, in a file of RFC 5655), CSV or lines of JSON. A file is there whole or
not at all; what a node did not tell is said, and the exit code is 5.`,
		Example: "  croft audit export web -o web.parquet\n  croft audit export web --format ipfix -o - --from 12:00:00 | tshark -r -\n  croft audit export --node -o all.csv --from 2026-11-22T00:00:00Z",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if node == (len(args) == 1) {
				return usage("croft audit export SLICE, or croft audit export --node", "name a slice, or --node for all of your node's")
			}
			f, err := formOf(format, file)
			if err != nil {
				return err
			}
			x := exporting{a: a, earlier: earlier}
			for _, s := range []struct {
				flag, text string
				into       *time.Time
			}{{"from", from, &x.from}, {"until", until, &x.until}} {
				if s.text == "" {
					continue
				}
				if *s.into, err = pastInstant(s.flag, s.text, time.Now()); err != nil {
					return err
				}
			}
			flows := x.ofNode(cmd.Context())
			if !node {
				t, err := a.target(cmd.Context(), args[0], lease.VerbAudit)
				if err != nil {
					return err
				}
				flows = x.ofSlice(cmd.Context(), t)
			}
			err = a.writeFile(file, f.binary, func(w io.Writer) error { return f.write(w, flows) })
			if errors.Is(err, errNoneTold) {
				return a.summary(x.out)
			}
			if err != nil {
				return err
			}
			a.say("%d flows of %d nodes", x.rows, x.nodes)
			return a.summary(x.out)
		},
	}
	c.Flags().StringVar(&format, "format", "", "parquet, ipfix, csv or jsonl (default: what the file's name ends in)")
	c.Flags().StringVarP(&file, "out", "o", "-", "file; - is standard output")
	c.Flags().StringVar(&from, "from", "", "flows that were still on then: 15:04:05 (today, local) or RFC 3339")
	c.Flags().StringVar(&until, "until", "", "flows that had begun by then")
	c.Flags().BoolVar(&node, "node", false, "every slice's on the node behind the socket, which is its owner's to ask")
	c.Flags().BoolVar(&earlier, "earlier", false, "also flows of earlier slices of that name, on the same nodes")
	return c
}

// pastInstant is parseInstant for a flag of another name.
func pastInstant(flag, text string, now time.Time) (time.Time, error) {
	t, err := parseInstant(text, now)
	if err != nil {
		return t, usage("15:04:05, 2026-11-23T15:04:05Z or now", "--%s %s is no instant", flag, text)
	}
	return t, nil
}

// exporting reads flows from one node after the other, so that memory is
// bounded and IPFIX has a node's rows together.
type exporting struct {
	a           *app
	from, until time.Time
	earlier     bool

	rows, nodes int
	out         []outcome // how each node answered
}

func (x *exporting) ofNode(ctx context.Context) iter.Seq2[api.Flow, error] {
	return func(yield func(api.Flow, error) bool) {
		x.nodes = 1
		for f, err := range x.a.way().Rows(ctx, x.from, x.until) {
			if err == nil {
				x.rows++
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// ofSlice skips a node that does not answer, and notes it.
func (x *exporting) ofSlice(ctx context.Context, t target) iter.Seq2[api.Flow, error] {
	return func(yield func(api.Flow, error) bool) {
		var asked []lease.Principal
		for _, s := range t.Slivers {
			if slices.Contains(asked, s.Node) { // it has another sliver of the slice
				continue
			}
			asked = append(asked, s.Node)
			n := x.a.node(t, s.Node)
			var failed error
			for f, err := range n.Rows(ctx, t.Slice, x.from, x.until) {
				if failed = err; err != nil {
					break
				}
				if f.Node != s.Node { // it speaks for itself alone
					failed = fmt.Errorf("a row of another node: %w", lease.ErrAnswer)
					break
				}
				if !x.earlier && !slices.ContainsFunc(t.Slivers, func(o slice.Sliver) bool { return o.Sliver == f.Sliver }) {
					continue
				}
				x.rows++
				if !yield(f, nil) {
					n.Close()
					return
				}
			}
			n.Close()
			if ctx.Err() != nil {
				yield(api.Flow{}, ctx.Err())
				return
			}
			if failed == nil {
				x.nodes++
			}
			x.out = append(x.out, outcome{s.Name, failed})
		}
		if x.rows == 0 && x.nodes == 0 && len(x.out) > 0 {
			yield(api.Flow{}, errNoneTold)
		}
	}
}

// errNoneTold: there is nothing to write, and each node said why.
var errNoneTold = errors.New("no node told its flows")

// records are flows as an export takes them.
func records(flows iter.Seq2[api.Flow, error]) export.Records {
	return func(yield func(export.Record, error) bool) {
		for f, err := range flows {
			r := export.Record{Node: f.Node.String(), Row: audit.Row{Slice: f.Slice, Flow: ebpf.Flow{Sliver: f.Sliver, Proto: f.Protocol,
				Src: f.Src, Dst: f.Dst, Packets: f.Packets, Bytes: f.Bytes, First: f.First.UnixNano(), Last: f.Last.UnixNano(), TCPFlags: f.TCPFlags}}}
			if f.Direction == "in" {
				r.Direction = ebpf.Ingress
			}
			if !f.Src.IsValid() {
				r.Src = netip.AddrPortFrom(netip.Addr{}, f.Detail) // what it is of stands for the port
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// writeFile makes a file whole or not at all. Bytes are not for terminals.
func (a *app) writeFile(path string, binary bool, write func(io.Writer) error) (err error) {
	if path == "-" {
		if f, ok := a.out.(*os.File); ok && binary && term.IsTerminal(int(f.Fd())) {
			return usage("write it to a file with -o FILE, or pipe it on", "this is no text, and here is a terminal")
		}
		w := bufio.NewWriter(a.out)
		if err := write(w); err != nil {
			return err
		}
		return w.Flush()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
