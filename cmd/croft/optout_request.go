// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/ebpf/optout"
	"croft/lease"
)

func (a *app) optoutRequest() *cobra.Command {
	var node, from string
	var term time.Duration
	c := &cobra.Command{
		Use: "request", Short: "Have every slice leave this machine's address alone", Args: cobra.NoArgs,
		Long: `Run this on the machine that wants its peace. It needs no key and no daemon. The courtesy
page of the node that you name says which nodes may attest for this machine's address
today; three of three sites each see a TCP handshake from here and sign that; and the
node that you named tells all others. What the page is, and how to do it with curl, is
in docs/packets.md.`,
		Example: "  croft optout request --node 198.51.100.7:4080\n  croft optout request --node 198.51.100.7:4080 --for 24h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if term < time.Second || term > optout.MaxTerm*time.Second {
				return usage("at most 168h", "--for %s cannot be", term)
			}
			var local netip.Addr
			if from != "" {
				var err error
				if local, err = netip.ParseAddr(from); err != nil {
					return usage("an address of this machine", "--from %q: %w", from, err)
				}
			}
			asker := newAsker(local)
			text, err := asker.gather(cmd.Context(), node, term, func(line string) { a.say("%s", line) })
			if err != nil {
				return err
			}
			answer, err := asker.call(cmd.Context(), "POST", "http://"+node+"/optout", text)
			if err != nil {
				return err
			}
			by, err := optout.ParseText([]byte(text))
			if err != nil {
				return err
			}
			e, err := optout.Join(by)
			if err != nil {
				return err
			}
			out := attested{Holds: true, Addr: e.Addr, From: e.From, Until: e.Until, ID: e.ID}
			for _, o := range e.By {
				out.By = append(out.By, o.Attestation)
			}
			return a.print(out, func(w io.Writer) { fmt.Fprintln(w, strings.TrimSpace(answer)) })
		},
	}
	c.Flags().StringVar(&node, "node", "", "courtesy page of any node, as address:port")
	c.Flags().StringVar(&from, "from", "", "which of this machine's addresses to ask from")
	c.Flags().DurationVar(&term, "for", optout.MaxTerm*time.Second, "how long, at most 168h")
	must(c.MarkFlagRequired("node"))
	return c
}

// asker asks at courtesy pages.
type asker struct{ client http.Client }

func newAsker(local netip.Addr) *asker {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	return &asker{http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}}
}

// call makes one request. What a page says against it is the error.
func (k *asker) call(ctx context.Context, method, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", usage("an address with a port, such as 198.51.100.7:4080", "%q: %w", url, err)
	}
	res, err := k.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return "", err
	}
	text := string(bytes.TrimSpace(b))
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", req.URL.Host, oneLine(text, res.Status))
	}
	return text, nil
}

// maxPage bounds what is read of a page, in bytes.
const maxPage = 256 << 10

func oneLine(text, instead string) string {
	line, _, _ := strings.Cut(text, "\n")
	if line == "" {
		return instead
	}
	return line
}

// attestingNode is a node that may attest for this machine's address today.
type attestingNode struct {
	door netip.AddrPort
	node lease.Principal
	site string
}

// attesters asks a page which they are; path is where it tells.
func (k *asker) attesters(ctx context.Context, page, path string) (all []attestingNode, err error) {
	list, err := k.call(ctx, "GET", "http://"+page+path, "")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] == "#" {
			continue
		}
		host, ok := strings.CutPrefix(words[0], "http://")
		door, err := netip.ParseAddrPort(host)
		node, err2 := lease.ParsePrincipal(words[1])
		if ok && err == nil && err2 == nil {
			all = append(all, attestingNode{door, node, words[2]})
		}
	}
	return all, nil
}

// three visits attesters in turn until three of different sites and networks have
// given what take accepts, and returns how many did.
func three(all []attestingNode, take func(attestingNode) error, say func(string)) (got int) {
	sites, networks := map[string]bool{}, map[netip.Prefix]bool{}
	for _, n := range all {
		if got == optout.Attesters {
			break
		}
		if sites[n.site] || networks[lease.Network(n.door.Addr())] {
			continue
		}
		if err := take(n); err != nil {
			say("no attestation: " + err.Error())
			continue
		}
		sites[n.site], networks[lease.Network(n.door.Addr())] = true, true
		got++
	}
	return got
}

// gather collects three attestations of three sites in three networks.
func (k *asker) gather(ctx context.Context, node string, term time.Duration, say func(string)) (string, error) {
	all, err := k.attesters(ctx, node, "/optout/nodes")
	if err != nil {
		return "", err
	}
	var text strings.Builder
	got := three(all, func(n attestingNode) error {
		answer, err := k.call(ctx, "GET", "http://"+n.door.String()+"/optout?for="+term.String(), "")
		if err != nil {
			return err
		}
		by, err := optout.ParseText([]byte(answer))
		if err != nil || len(by) != 1 || by[0].Node != n.node {
			return fmt.Errorf("%s did not answer as that node would", n.door)
		}
		text.WriteString(by[0].Text() + "\n")
		say("attested by " + by[0].Node.Short() + " at " + n.door.String())
		return nil
	}, say)
	if got < optout.Attesters {
		return "", fail(exitNothing, "try again later, or another node's page", "%d nodes of different sites and networks attested, %d are needed", got, optout.Attesters)
	}
	return text.String(), nil
}
