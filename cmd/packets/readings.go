// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"croft/ebpf/bypass"
)

func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// weigh holds the readings in some lines of a file against the lease. From and to
// count lines from 1, both included; to is the last one unless told.
func weigh(path, from, to string) error {
	first, err := strconv.Atoi(from)
	if err != nil || first < 1 {
		return fmt.Errorf("line %q: want a number of at least 1", from)
	}
	last := 0
	if to != "" {
		if last, err = strconv.Atoi(to); err != nil {
			return err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var all []bypass.Reading
	lines := bufio.NewReader(f)
	for n := 1; last == 0 || n <= last; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF { // what is not ended is being written
			break
		}
		if err != nil {
			return err
		}
		if n < first {
			continue
		}
		var r bypass.Reading
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		all = append(all, r)
	}
	w, err := bypass.Weigh(all, bypass.Small())
	if err != nil {
		return err
	}
	return show(w)
}
