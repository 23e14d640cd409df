// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"croft/ebpf/audit"
	"croft/node/api"
)

// A message that is for nobody costs no writing, all networks together can have so
// many written, and who reads does not wait for the disk.
func TestMessagesToTheDiskAreFew(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m, err := openMailbox(t.TempDir()+"/messages", now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	msg := func(n int) audit.Message {
		return audit.Message{At: now.Unix(), From: fmt.Sprintf("10.0.%d.0/24", n), Src: audit.EndpointOf(sentBy), Dst: audit.EndpointOf(sentTo), Text: "Please stop."}
	}
	for n := range 2 * mailBurst {
		if err := m.put(msg(n), nil, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(m.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("for nobody a file was written: %v", err)
	}
	for n := range mailBurst {
		if err := m.put(msg(n), []string{fmt.Sprintf("s%d@n1", n)}, now); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	if err := m.put(msg(99), []string{"web@n1"}, now); !errors.Is(err, api.ErrBusy) || len(m.of("web@n1", now)) != 0 {
		t.Errorf("one more: %v", err)
	}
	later := now.Add(time.Second / mailRate)
	if err := m.put(msg(99), []string{"web@n1"}, later); err != nil {
		t.Errorf("a second later: %v", err)
	}

	// A disk that takes nothing: a pipe that nobody reads yet.
	if err := unix.Mkfifo(m.path+".tmp", 0o600); err != nil {
		t.Fatal(err)
	}
	over := make(chan error)
	go func() { over <- m.put(msg(98), []string{"web@n1"}, later.Add(time.Second)) }()
	for len(m.of("web@n1", later)) != 2 { // it comes to no end when readers wait for the disk
		runtime.Gosched()
	}
	pipe, err := os.Open(m.path + ".tmp")
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if n, err := io.Copy(io.Discard, pipe); n == 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := <-over; !errors.Is(err, api.ErrAgain) { // a pipe cannot be synced
		t.Error(err)
	}
}
