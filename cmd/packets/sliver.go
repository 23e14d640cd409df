// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"croft/ebpf/bypass"
)

// sink takes what comes to UDP ports until ctx ends.
func sink(ctx context.Context, ports []string) error {
	var running sync.WaitGroup
	var conns []net.PacketConn
	for _, port := range ports {
		c, err := net.ListenPacket("udp", ":"+port)
		if err != nil {
			return err
		}
		conns = append(conns, c)
		running.Go(func() {
			buf := make([]byte, 1<<16)
			for {
				if _, _, err := c.ReadFrom(buf); errors.Is(err, net.ErrClosed) {
					return
				}
			}
		})
	}
	<-ctx.Done()
	for _, c := range conns {
		c.Close()
	}
	running.Wait()
	return nil
}

// flood tries one item.
func flood(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	set := flag.NewFlagSet("flood", flag.ContinueOnError)
	to := set.String("to", "", "the receiver's IPv4 address")
	node := set.String("node", "", "the node's, for its public ports")
	length := set.Duration("for", bypass.Window, "how long")
	stay := set.Bool("stay", false, "and do nothing then")
	if err := set.Parse(args[1:]); err != nil {
		return err
	}
	t := bypass.Try{Lease: bypass.Small(), For: *length}
	all, err := bypass.Select(args[:1])
	if err != nil {
		return err
	}
	t.Item = all[0]
	if t.Receiver, err = netip.ParseAddr(*to); err != nil {
		return err
	}
	if *node != "" {
		if t.Node, err = netip.ParseAddr(*node); err != nil {
			return err
		}
	}
	tried, err := t.Run(ctx)
	if err != nil {
		return err
	}
	if err := show(tried); err != nil || !*stay {
		return err
	}
	<-ctx.Done()
	return nil
}

// counters are those of the sliver's interface, without link headers.
func counters() error {
	f, err := os.Open("/proc/net/dev")
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), ":")
		if !ok || strings.TrimSpace(name) != "eth0" {
			continue
		}
		var rx, rxPackets, txBytes, txPackets, skip uint64
		if _, err := fmt.Sscan(text, &rx, &rxPackets, &skip, &skip, &skip, &skip, &skip, &skip, &txBytes, &txPackets); err != nil {
			return err
		}
		const link = 14
		return show(map[string]bypass.Traffic{"in": {Packets: rxPackets, Octets: rx - link*rxPackets}, "out": {Packets: txPackets, Octets: txBytes - link*txPackets}})
	}
	return errors.Join(lines.Err(), errors.New("no eth0"))
}

// say writes until nobody listens.
func say(ctx context.Context) error {
	line := strings.Repeat("a sliver that talks too much. ", 33) + "\n"
	for ctx.Err() == nil {
		if _, err := io.WriteString(os.Stdout, line); err != nil {
			return nil
		}
	}
	return nil
}

// items prints names.
func items(which string) error {
	within := map[string]bool{}
	for _, it := range bypass.Within() {
		within[it.Name] = true
	}
	if which != "within" && which != "beside" {
		return errUsage
	}
	for _, it := range bypass.Items() {
		if within[it.Name] == (which == "within") {
			fmt.Println(it.Name)
		}
	}
	return nil
}

// listen prints readings until ctx ends.
func listen(ctx context.Context, device, port string) error {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	return bypass.Listen(ctx, device, uint16(number), func(r bypass.Reading) error {
		if err := writeLine(out, r); err != nil {
			return err
		}
		return out.Flush()
	})
}
