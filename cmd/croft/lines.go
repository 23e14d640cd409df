// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// lines writes whole lines of several slivers to one stream, each with the name
// of its node before it.
type lines struct {
	mu   *sync.Mutex
	to   io.Writer
	head string
	node string // not empty: as JSON objects
	part []byte
}

// logLine is a line of a program's output under --json.
type logLine struct {
	Node string `json:"node"`
	Line string `json:"line"`
}

// maxLine is where a line without an end is cut.
const maxLine = 64 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range p {
		if b != '\n' && len(l.part) < maxLine {
			l.part = append(l.part, b)
			continue
		}
		if err := l.flush(); err != nil {
			return 0, err
		}
		if b != '\n' {
			l.part = append(l.part, b)
		}
	}
	return len(p), nil
}

func (l *lines) flush() error {
	var err error
	if l.node != "" {
		err = json.NewEncoder(l.to).Encode(logLine{l.node, string(l.part)})
	} else {
		_, err = fmt.Fprintf(l.to, "%s%s\n", l.head, l.part)
	}
	l.part = l.part[:0]
	return err
}

// end writes what is left of a last line.
func (l *lines) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) == 0 {
		return nil
	}
	return l.flush()
}
