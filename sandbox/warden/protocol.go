// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/sandbox"
)

// A connection carries one request and then replies. A message is its length
// in four bytes, most significant first, and JSON; fields that a reader does
// not know are skipped, since daemon and warden may be of different age.
type request struct {
	Op       op                  `json:"op"`
	RSet     *lease.RSet         `json:"rset,omitempty"`
	Deadline int64               `json:"deadline,omitempty"`
	Grace    time.Duration       `json:"grace,omitempty"`
	Exec     *sandbox.Exec       `json:"exec,omitempty"`
	Logs     *sandbox.LogOptions `json:"logs,omitempty"`
}

type op string

const (
	opStatus op = "status" // one reply
	opWatch  op = "watch"  // a reply now and at each change
	opExtend op = "extend"
	opStop   op = "stop" // the reply comes when the sliver is over
	opExec   op = "exec" // with files; a reply at the start and one with the exit
	opLogs   op = "logs" // replies with data
)

type reply struct {
	Status *sandbox.Status `json:"status,omitempty"`
	Exit   *int            `json:"exit,omitempty"`
	Data   []byte          `json:"data,omitempty"`
	Error  *failure        `json:"error,omitempty"`
}

// failure is an error that keeps its identity over the socket.
type failure struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

var codes = []struct {
	code string
	err  error
}{
	{"unknown", sandbox.ErrUnknown},
	{"not-running", sandbox.ErrNotRunning},
	{"deadline", sandbox.ErrDeadline},
	{"spec", sandbox.ErrSpec},
	{"program", sandbox.ErrProgram},
	{"no-space", sandbox.ErrNoSpace},
	{"conflict", sandbox.ErrConflict},
	{"busy", sandbox.ErrBusy},
	{"unsupported", errors.ErrUnsupported},
	{"timeout", context.DeadlineExceeded},
}

func toFailure(err error) *failure {
	if err == nil {
		return nil
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &failure{c.code, err.Error()}
		}
	}
	return &failure{"", err.Error()}
}

// remote is an error that a warden reported.
type remote struct {
	text string
	kind error
}

func (e *remote) Error() string { return e.text }
func (e *remote) Unwrap() error { return e.kind }

func (f *failure) err() error {
	if f == nil {
		return nil
	}
	for _, c := range codes {
		if f.Code == c.code {
			return &remote{f.Text, c.err}
		}
	}
	return errors.New(f.Text)
}

func encode(message any) ([]byte, error) {
	b, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding message: %w", err)
	}
	if len(b) > maxFrame {
		return nil, fmt.Errorf("encoding message: %d bytes, at most %d", len(b), maxFrame)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...), nil
}

// decode reads one message. The end of the stream between messages is io.EOF.
func decode(r io.Reader, message any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return fmt.Errorf("reading message: %d bytes, at most %d", size, maxFrame)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("reading message: %w", io.ErrUnexpectedEOF)
	}
	if err := json.Unmarshal(body, message); err != nil {
		return fmt.Errorf("reading message: %w", err)
	}
	return nil
}

// conn is a connection whose messages may come with files.
type conn struct {
	*net.UnixConn
	files []*os.File // that came and nobody took
}

// Read reads bytes and keeps the files that come with them.
func (c *conn) Read(p []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, oobn, _, _, err := c.ReadMsgUnix(p, oob)
	if oobn > 0 {
		c.accept(oob[:oobn])
	}
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (c *conn) accept(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return // without its files the request fails later, and says so
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), "passed")
			if len(c.files) >= maxFiles {
				f.Close()
				continue
			}
			c.files = append(c.files, f)
		}
	}
}

// take hands over the files that came.
func (c *conn) take() []*os.File {
	files := c.files
	c.files = nil
	return files
}

// send writes one message with files.
func (c *conn) send(message any, files ...*os.File) error {
	b, err := encode(message)
	if err != nil {
		return err
	}
	if err := c.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		n, _, err := c.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	_, err = c.Write(b)
	return err
}

// Close also closes the files that nobody took.
func (c *conn) Close() error {
	closeAll(c.take())
	return c.UnixConn.Close()
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
