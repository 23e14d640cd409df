// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"croft/ebpf/audit"
	"croft/lease"
	"croft/node/api"
)

// maxMailFile is the size in bytes of the messages' file: of each its text, and the
// names and numbers around it.
const maxMailFile = audit.MaxMessages * (audit.MaxMessage + 512)

// mailbox keeps what strangers have to say about packets until the owner of the
// slice asks for it. It is on disk before the stranger hears that it was taken.
type mailbox struct {
	path string
	disk sync.Mutex // of who writes the file: taken before mu, so that readers do not wait for the disk

	mu   sync.Mutex
	box  audit.Messages
	left allowance // of all networks together
}

// openMailbox reads what was kept. A file that cannot be read is put aside.
func openMailbox(path string, now time.Time, log *slog.Logger) (*mailbox, error) {
	m := &mailbox{path: path, left: allowance{left: mailBurst, at: now}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	var kept []audit.Message
	if err := lease.Decode(b, &kept, maxMailFile); err != nil {
		log.Warn("the messages about packets are damaged, and put aside", "file", path, "err", err)
		return m, os.Rename(path, path+".damaged")
	}
	for _, msg := range kept {
		m.box.Put(msg, now)
	}
	return m, nil
}

// put takes a message in for each of some slices; for none there is nothing to do.
func (m *mailbox) put(msg audit.Message, slices []string, now time.Time) error {
	if len(slices) == 0 {
		return nil
	}
	m.disk.Lock()
	defer m.disk.Unlock()
	kept, err := m.add(msg, slices, now)
	if err != nil {
		return err
	}
	b, err := lease.Encode(kept)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(m.path), 0o700)
	}
	if err == nil {
		err = writeDurably(m.path, b)
	}
	if err != nil {
		return fmt.Errorf("%w: keeping a message: %w", api.ErrAgain, err)
	}
	return nil
}

// add returns all that is to be on disk with a message. Each has all written anew,
// so that the node has an allowance for it, whoever sends them.
func (m *mailbox) add(msg audit.Message, slices []string, now time.Time) ([]audit.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left.fill(now, mailBurst, mailRate); m.left.left < 1 {
		return nil, fmt.Errorf("%w: this node has been left many messages; send it again in a minute", api.ErrBusy)
	}
	m.left.left--
	for _, s := range slices {
		msg.Slice = s
		m.box.Put(msg, now)
	}
	return m.box.Of("", now), nil
}

func (m *mailbox) of(slice string, now time.Time) []audit.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.box.Of(slice, now)
}

// leave keeps an asker's message for the owners of the slices that fit. Which they
// are, and whether they read it, he is not told.
func (a audits) leave(k asker, q audit.Who, text string, fit []string) error {
	now := a.d.deps.Clock.Wall()
	msg := audit.Message{At: now.Unix(), Holder: k.holder, Src: audit.EndpointOf(q.Src), Dst: audit.EndpointOf(q.Dst), Proto: q.Proto, About: q.At, Text: text}
	if k.network.IsValid() {
		msg.From = k.network.String()
	}
	return a.d.mail.put(msg, fit[:min(len(fit), maxAddressees)], now)
}

// Messages are those about the caller's slice, or one whose record he may read.
func (a audits) Messages(ctx context.Context, by api.Caller, slice string) ([]api.Message, error) {
	if a.d.deps.Hosting == nil {
		return nil, api.ErrVisitor
	}
	if err := lease.CheckLabel(slice); err != nil {
		return nil, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	owner, err := a.owner(ctx, by, slice)
	if err != nil {
		return nil, err
	}
	return a.messages(slice + "@" + owner.String()), nil
}

// AllMessages are those about all slices.
func (a audits) AllMessages(context.Context) ([]api.Message, error) {
	if a.d.deps.Hosting == nil {
		return nil, api.ErrVisitor
	}
	return a.messages(""), nil
}

func (a audits) messages(slice string) []api.Message {
	out := []api.Message{}
	for _, m := range a.d.mail.of(slice, a.d.deps.Clock.Wall()) {
		x := api.Message{Node: a.d.deps.Key.Principal(), Slice: m.Slice, At: time.Unix(m.At, 0).UTC(), From: m.From, Holder: m.Holder,
			Src: m.Src.AddrPort(), Dst: m.Dst.AddrPort(), About: time.Unix(0, m.About).UTC(), Text: m.Text}
		if m.Proto != 0 {
			x.Proto = protoName(m.Proto)
		}
		out = append(out, x)
	}
	return out
}
