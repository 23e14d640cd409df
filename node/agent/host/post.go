// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"croft/lease"
	"croft/node/agent"
)

// post puts a ticket for a peer into the out tray, once: whoever carries it takes
// the file away, and the purse still has the ticket.
func (h *Host) post(e agent.Deliver) {
	o, err := lease.Open(e.Chain[len(e.Chain)-1])
	if err != nil {
		return // of our own purse
	}
	dir := filepath.Join(h.cfg.Dir, "out", h.peerName(e.To))
	path := filepath.Join(dir, o.ID.Short()+ticketSuffix)
	if _, err := os.Stat(path); err == nil {
		return
	}
	err = os.MkdirAll(dir, 0o700)
	if err == nil {
		err = writeWhole(path, lease.Armour(e.Chain))
	}
	if err != nil {
		h.cfg.Log.Warn("a ticket for a peer is not put out; it is tried again after a restart", "to", e.To.Short(), "err", err)
		return
	}
	h.cfg.Log.Info("a ticket for a peer", "file", path)
}

// peerName is a peer's name as a directory: its short principal if the name is no
// label.
func (h *Host) peerName(who lease.Principal) string {
	for _, p := range h.cfg.Agent.Peers {
		if p.Principal == who && lease.CheckLabel(p.Name) == nil {
			return p.Name
		}
	}
	return who.Short()
}

// readPost takes the tickets that came by mail. What is no ticket is set aside,
// not read again.
func (h *Host) readPost(ctx context.Context) {
	dir := filepath.Join(h.cfg.Dir, "in")
	files, err := os.ReadDir(dir)
	if err != nil {
		h.cfg.Log.Warn("the post is not read", "err", err)
		return
	}
	for _, f := range files[:min(len(files), maxPostFiles)] {
		if path := filepath.Join(dir, f.Name()); f.Type().IsRegular() && strings.HasSuffix(f.Name(), ticketSuffix) && ctx.Err() == nil {
			h.readLetter(path)
		}
	}
}

func (h *Host) readLetter(path string) {
	chains, err := readTickets(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		h.cfg.Log.Warn("what came by mail is no ticket", "file", path, "err", err)
		if err := os.Rename(path, path+refusedSuffix); err != nil {
			h.cfg.Log.Warn("and cannot be set aside", "err", err)
		}
		return
	}
	h.do(func() {
		h.step(agent.Came{Chains: chains})
		for _, c := range chains {
			if !h.keeps(c) {
				h.cfg.Log.Warn("a ticket that came by mail is not kept", "file", path)
				if err := os.Rename(path, path+refusedSuffix); err != nil {
					h.cfg.Log.Warn("and cannot be set aside", "err", err)
				}
				return
			}
		}
		if err := os.Remove(path); err != nil {
			h.cfg.Log.Warn("a ticket that is kept stays in the post", "file", path, "err", err)
		}
	})
}

func (h *Host) keeps(chain [][]byte) bool {
	last := chain[len(chain)-1]
	for _, held := range h.safe.Held() {
		if bytes.Equal(held.Chain.Leaf().Signed.Bytes(), last) {
			return true
		}
	}
	return false
}

func readTickets(path string) ([][][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, lease.MaxArmour+1))
	if err != nil {
		return nil, err
	}
	return lease.ParseArmour(b)
}
