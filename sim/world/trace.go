// SPDX-License-Identifier: Apache-2.0

package world

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strconv"
	"time"
)

// trace is the history of a run: a line for each input and effect of each machine,
// of which the hash is kept.
type trace struct {
	sum   hash.Hash
	line  []byte
	lines uint64
	to    io.Writer // a copy of it; may be nil
	err   error
}

func newTrace(to io.Writer) *trace { return &trace{sum: sha256.New(), to: to} }

// begin starts a line: when, and of whom.
func (t *trace) begin(at time.Duration, who int) {
	t.line = strconv.AppendInt(t.line[:0], int64(at), 10)
	t.line = append(t.line, ' ')
	t.line = strconv.AppendInt(t.line, int64(who), 10)
}

func (t *trace) word(s string) { t.line = append(append(t.line, ' '), s...) }
func (t *trace) number(n int64) {
	t.line = strconv.AppendInt(append(t.line, ' '), n, 10)
}

func (t *trace) end() {
	t.line = append(t.line, '\n')
	t.sum.Write(t.line)
	t.lines++
	if t.to != nil && t.err == nil {
		_, t.err = t.to.Write(t.line)
	}
}

// say writes one line.
func (w *World) say(who int, mark string, what fmt.Stringer) {
	w.trace.begin(w.now, who)
	w.trace.word(mark)
	w.trace.word(what.String())
	w.trace.end()
}

// note writes one line of a model's.
func (w *World) note(who int, format string, args ...any) {
	w.trace.begin(w.now, who)
	w.trace.word(fmt.Sprintf(format, args...))
	w.trace.end()
}

func (t *trace) hash() string { return hex.EncodeToString(t.sum.Sum(nil)) }
