// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"croft/lease"

	"github.com/google/nftables"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// nft is the program's path, also where PATH leaves the system's directory out.
func nft() string {
	if _, err := exec.LookPath("nft"); err != nil {
		if p, err := exec.LookPath("/usr/sbin/nft"); err == nil {
			return p
		}
	}
	return "nft"
}

// load gives text to nft in the namespace: all of it takes effect, or nothing.
func load(ctx context.Context, ns netns.NsHandle, text string) error {
	ctx, cancel := context.WithTimeout(ctx, nftTimeout)
	defer cancel()
	return within(ns, func() error {
		cmd := exec.CommandContext(ctx, nft(), "-f", "-")
		cmd.Stdin = strings.NewReader(text)
		var said bytes.Buffer
		cmd.Stderr = &said
		err := cmd.Run()
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return &MissingError{Need: "the nft program", Lost: "slivers have no network", Err: err}
		case err != nil && strings.Contains(said.String(), "not supported"):
			return &MissingError{Need: "kernel: nf_tables with NAT and conntrack zones", Lost: "slivers have no network",
				Err: fmt.Errorf("%w: %.*s", err, maxNFTError, said.String())}
		case err != nil:
			return fmt.Errorf("loading nft table: %w: %.*s", err, maxNFTError, said.String())
		}
		return nil
	})
}

// dropTable removes a table; it need not be there.
func dropTable(ns netns.NsHandle, name string) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(ns)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	c.DelTable(&nftables.Table{Name: name, Family: nftables.TableFamilyINet})
	if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("deleting nft table %s: %w", name, err)
	}
	return nil
}

var protoPort = nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)

// forwardMap is a map of nodeRules; portSet and openedSet are sets of hostRules.
func forwardMap(table *nftables.Table, v6 bool) *nftables.Set {
	s := &nftables.Set{Table: table, Name: forwards4, IsMap: true, KeyType: protoPort,
		DataType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)}
	if v6 {
		s.Name = forwards6
		s.DataType = nftables.MustConcatSetType(nftables.TypeIP6Addr, nftables.TypeInetService)
	}
	return s
}

func portSet(table *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: table, Name: ports, KeyType: protoPort}
}

func openedSet(table *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: table, Name: opened, KeyType: nftables.TypeIFName}
}

// Each part of a concatenation is padded to four bytes.
func portKey(p lease.Port) []byte {
	return []byte{byte(p.Proto), 0, 0, 0, byte(p.Number >> 8), byte(p.Number), 0, 0}
}

func target(to netip.Addr, inside uint16) []byte {
	return append(to.AsSlice(), byte(inside>>8), byte(inside), 0, 0)
}

func ifname(dev string) []byte {
	b := make([]byte, 16)
	copy(b, dev)
	return b
}

// forward makes the map of a family say exactly these ports for the sliver at
// address to. A port that another sliver holds is ErrTaken. It returns the keys
// that went.
func forward(ns netns.NsHandle, tableName string, to netip.Addr, wanted []lease.Port) (gone [][]byte, err error) {
	c, err := nftables.New(nftables.WithNetNSFd(int(ns)))
	if err != nil {
		return nil, fmt.Errorf("reaching nftables: %w", err)
	}
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
	m := forwardMap(table, to.Is6())
	have, err := elements(c, m)
	if err != nil {
		return nil, err
	}
	var add, del []nftables.SetElement
	for _, p := range wanted {
		add = append(add, nftables.SetElement{Key: portKey(p), Val: target(to, p.Inside)})
	}
	for _, e := range have {
		i := slices.IndexFunc(add, func(a nftables.SetElement) bool { return bytes.Equal(a.Key, e.Key) })
		mine := bytes.HasPrefix(e.Val, to.AsSlice())
		switch {
		case i >= 0 && !mine:
			return nil, fmt.Errorf("public port %d/%s: %w", wanted[portIndex(wanted, e.Key)].Number, lease.Proto(e.Key[0]), ErrTaken)
		case i >= 0 && bytes.Equal(add[i].Val, e.Val):
			add = slices.Delete(add, i, i+1)
		case mine:
			del = append(del, nftables.SetElement{Key: e.Key, Val: e.Val})
			if i < 0 {
				gone = append(gone, e.Key)
			}
		}
	}
	return gone, change(c, m, add, del)
}

func portIndex(ports []lease.Port, key []byte) int {
	return slices.IndexFunc(ports, func(p lease.Port) bool { return bytes.Equal(portKey(p), key) })
}

// publish adds keys of ports to the host's set and takes others away.
func publish(ns netns.NsHandle, tableName string, wanted []lease.Port, gone [][]byte) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(ns)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	s := portSet(&nftables.Table{Name: tableName, Family: nftables.TableFamilyINet})
	have, err := elements(c, s)
	if err != nil {
		return err
	}
	has := func(key []byte) bool {
		return slices.ContainsFunc(have, func(e nftables.SetElement) bool { return bytes.Equal(e.Key, key) })
	}
	var add, del []nftables.SetElement
	for _, p := range wanted {
		if key := portKey(p); !has(key) {
			add = append(add, nftables.SetElement{Key: key})
		}
	}
	for i, key := range gone {
		twice := slices.ContainsFunc(gone[:i], func(k []byte) bool { return bytes.Equal(k, key) }) // once a family
		if has(key) && !twice {
			del = append(del, nftables.SetElement{Key: key})
		}
	}
	return change(c, s, add, del)
}

// elements reads a set; an interrupted dump is read again.
func elements(c *nftables.Conn, s *nftables.Set) ([]nftables.SetElement, error) {
	var err error
	for range dumpTries {
		var have []nftables.SetElement
		if have, err = c.GetSetElements(s); err == nil {
			return have, nil
		}
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return nil, fmt.Errorf("reading nft set %s: %w", s.Name, err)
}

// change is one transaction: what is replaced is never absent.
func change(c *nftables.Conn, s *nftables.Set, add, del []nftables.SetElement) error {
	if len(del) > 0 {
		if err := c.SetDeleteElements(s, del); err != nil {
			return fmt.Errorf("changing nft set %s: %w", s.Name, err)
		}
	}
	if len(add) > 0 {
		if err := c.SetAddElements(s, add); err != nil {
			return fmt.Errorf("changing nft set %s: %w", s.Name, err)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("changing nft set %s: %w", s.Name, err)
	}
	return nil
}
