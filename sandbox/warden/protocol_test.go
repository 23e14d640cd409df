// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/sandbox"
)

func TestProtocolRoundTrip(t *testing.T) {
	want := request{Op: opExec, RSet: &lease.RSet{1, 2}, Deadline: 7, Grace: 3, Exec: &sandbox.Exec{Args: []string{"a\x01", "b"}, TTY: true,
		Size: sandbox.Size{Rows: 1, Cols: 2}}, Logs: &sandbox.LogOptions{Follow: true, Tail: 3}}
	b, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	var got request
	stream := bytes.NewReader(append(b, b...))
	for range 2 {
		if err := decode(stream, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	if err := decode(stream, &got); err != io.EOF {
		t.Errorf("after the last message: %v", err)
	}
	if err := decode(bytes.NewReader(b[:len(b)-1]), &got); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("torn message: %v", err)
	}
	if err := decode(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff}), &got); err == nil {
		t.Error("a message of 4 GiB is read")
	}
	if _, err := encode(reply{Data: make([]byte, maxFrame)}); err == nil {
		t.Error("a message that nobody reads is written")
	}
	// The longest command fits, however JSON spells it.
	long := sandbox.Exec{Args: []string{strings.Repeat("\x01", sandbox.MaxWord), strings.Repeat("\x01", sandbox.MaxWord)},
		Env: []string{"A=" + strings.Repeat("\x01", sandbox.MaxWord-2), "B=" + strings.Repeat("\x01", sandbox.MaxWord-2)}}
	if err := long.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := encode(request{Op: opExec, Exec: &long}); err != nil {
		t.Error(err)
	}
}

// An error keeps its kind over the socket.
func TestFailures(t *testing.T) {
	for _, c := range codes {
		err := toFailure(fmt.Errorf("doing: %w", c.err)).err()
		if !errors.Is(err, c.err) || !strings.HasPrefix(err.Error(), "doing: ") {
			t.Errorf("%s: %v", c.code, err)
		}
	}
	if toFailure(nil).err() != nil {
		t.Error("no failure is an error")
	}
	if err := toFailure(&sandbox.Missing{Feature: "x", Needs: "y"}).err(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// Files come with a message, and those that nobody takes are closed.
func TestFilesArePassed(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*conn
	for i, fd := range pair {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		ends[i] = &conn{UnixConn: c.(*net.UnixConn)}
		defer ends[i].Close()
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if err := ends[0].send(request{Op: opExec}, write); err != nil {
		t.Fatal(err)
	}
	write.Close()
	var q request
	if err := decode(ends[1], &q); err != nil || q.Op != opExec {
		t.Fatal(q, err)
	}
	files := ends[1].take()
	if len(files) != 1 {
		t.Fatalf("%d files came", len(files))
	}
	if _, err := files[0].WriteString("through"); err != nil {
		t.Fatal(err)
	}
	files[0].Close()
	if b, err := io.ReadAll(read); err != nil || string(b) != "through" { // ends, so nobody else has it
		t.Errorf("%q, %v", b, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range []any{request{Op: opStatus}, request{Op: opExtend, RSet: &lease.RSet{1}, Deadline: 1},
		request{Op: opExec, Exec: &sandbox.Exec{Args: []string{"sh"}}}, reply{Status: &sandbox.Status{Sliver: "x"}, Error: &failure{"busy", "x"}}} {
		b, err := encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(binary.BigEndian.AppendUint32(nil, maxFrame+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q request
		if decode(bytes.NewReader(b), &q) == nil {
			again, err := encode(q)
			var back request
			if err == nil {
				err = decode(bytes.NewReader(again), &back)
			}
			if len(again) <= maxFrame && (err != nil || !reflect.DeepEqual(q, back)) {
				t.Errorf("%+v came back as %+v, %v", q, back, err)
			}
			if q.Exec != nil {
				_ = q.Exec.Check()
			}
		}
		var p reply
		if decode(bytes.NewReader(b), &p) == nil && p.Error != nil && p.Error.err() == nil {
			t.Errorf("failure %+v is no error", p.Error)
		}
	})
}

func TestRing(t *testing.T) {
	dir := t.TempDir()
	r, err := openRing(dir)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxRecord+10)
	r.take("stdout", strings.NewReader("one\n\n"+long+"\nno end"))
	read := func(o sandbox.LogOptions) string {
		t.Helper()
		var out bytes.Buffer
		if err := copyLog(context.Background(), dir, o, &out, nil, nil); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := read(sandbox.LogOptions{}); got != "one\n\n"+long+"\nno end" {
		t.Errorf("log of %d bytes: %.40q", len(got), got)
	}
	if got := read(sandbox.LogOptions{Tail: 1}); got != "no end" {
		t.Errorf("tail %q", got)
	}
	if got := read(sandbox.LogOptions{Tail: 1, Times: true}); !strings.HasSuffix(got, "Z stdout no end\n") {
		t.Errorf("with time %q", got)
	}
	// Far more than the ring holds: it stays within bounds and keeps the newest.
	for i := range 3 * segments * segmentSize / 1000 {
		r.add("stderr", true, fmt.Appendf(nil, "%0960d", i))
	}
	r.add("stderr", true, []byte("last"))
	total := int64(0)
	for _, seq := range sequences(dir) {
		info, err := os.Stat(segment(dir, seq))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > segments*segmentSize || total < (segments-2)*segmentSize {
		t.Errorf("%d bytes are kept", total)
	}
	if got := read(sandbox.LogOptions{Tail: 1}); got != "last\n" {
		t.Errorf("the newest is %q", got)
	}
	again, err := openRing(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.add("stdout", true, []byte("after"))
	if got := read(sandbox.LogOptions{Tail: 2}); got != "last\nafter\n" {
		t.Errorf("after a new start %q", got)
	}
}
