// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A soakSample is one look at the daemon and what it has in the kernel.
type soakSample struct {
	At     time.Duration // since the rate is held
	Epochs accounts      // since the last sample
	Sent   uint64        // packets since the last sample

	Heap, Stacks     float64 // MB that were alive after the last collection
	Anon             float64 // MB of the process's memory that no file backs
	Threads, Files   int
	Maps, Pins       int     // eBPF maps that it holds; what it has pinned
	MapMemory        float64 // MB of these maps, as the kernel says
	Entries          int     // connections that the node's namespaces track
	Slab             float64 // MB of the machine's, of whoever
	Record           float64 // MB of all files of the record
	Segments         int     // closed ones that are there
	CPU              float64 // seconds so far
	Slivers          int
	Backlog, Refused uint64 // bytes that wait in queues; packets that the tracker's ceilings refused
}

const sampleHead = "    at  epochs      rows   packets  unrec breach   drain  heap  anon thr  fds maps  MB  conns  slab  record segs  cpu slivers"

func (x soakSample) String() string {
	e := x.Epochs
	return fmt.Sprintf("%5.0fs %7d %9d %9d %6d %6d %6.2fs %5.0f %5.0f %3d %4d %4d %3.0f %6d %5.0f %6.1f %4d %4.0f %4d",
		x.At.Seconds(), e.Epochs, e.Rows, e.Seen, e.Unrecorded, e.Breaches, e.Drain.Seconds(), x.Heap, x.Anon, x.Threads, x.Files, x.Maps, x.MapMemory,
		x.Entries, x.Slab, x.Record, x.Segments, x.CPU, x.Slivers)
}

func (n *soakNode) sample(ctx context.Context) (x soakSample, err error) {
	pid, err := n.pid(ctx)
	if err != nil {
		return x, err
	}
	proc := fmt.Sprintf("/proc/%d", pid)
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return x, err
	}
	x.Anon = kib(status, "RssAnon:") / 1000
	x.Threads = int(kib(status, "Threads:"))
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return x, err
	}
	x.Slab = kib(meminfo, "Slab:") / 1000
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return x, err
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	x.CPU = (user + system) / 100 // USER_HZ
	if err := x.files(proc); err != nil {
		return x, err
	}
	pins, err := filepath.Glob("/sys/fs/bpf/croft-" + n.tag + "/*")
	if err != nil {
		return x, err
	}
	x.Pins = len(pins)
	if x.Heap, x.Stacks, err = n.heap(); err != nil {
		return x, err
	}
	if err := x.record(filepath.Join(n.state, "audit")); err != nil {
		return x, err
	}
	if x.Entries, err = n.entries(); err != nil {
		return x, err
	}
	figures, err := n.way.Figures(ctx)
	if err != nil {
		return x, err
	}
	x.Slivers = len(figures)
	for _, f := range figures {
		x.Refused += f.Flows.RefusedOut + f.Flows.RefusedIn
		if q := f.Queues; q != nil {
			x.Backlog += q.Out.Backlog + q.In.Backlog
		}
	}
	return x, nil
}

// kib reads the number behind a word of a file of /proc.
func kib(text []byte, word string) float64 {
	_, rest, _ := strings.Cut(string(text), "\n"+word)
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	v, _ := strconv.ParseFloat(f[0], 64)
	return v
}

// files counts what the daemon has open, and adds up the maps among it.
func (x *soakSample) files(proc string) error {
	entries, err := os.ReadDir(proc + "/fdinfo")
	if err != nil {
		return err
	}
	seen := map[float64]bool{}
	for _, e := range entries {
		x.Files++
		text, err := os.ReadFile(proc + "/fdinfo/" + e.Name())
		if err != nil {
			continue // closed meanwhile
		}
		if id := kib(text, "map_id:"); id > 0 && !seen[id] {
			seen[id] = true
			x.Maps++
			x.MapMemory += kib(text, "memlock:") / 1e6
		}
	}
	return nil
}

// heap reads from the daemon's log what its last collection left.
func (n *soakNode) heap() (live, stacks float64, err error) {
	f, err := os.Open(n.log)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	tail := make([]byte, min(info.Size(), 256<<10))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && err != io.EOF {
		return 0, 0, err
	}
	lines := strings.Split(string(tail), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		// gc 7 @0.9s 1%: … ms cpu, 4->5->2 MB, 5 MB goal, 0 MB stacks, …
		_, rest, ok := strings.Cut(lines[i], " ms cpu, ")
		if !ok || !strings.HasPrefix(lines[i], "gc ") {
			continue
		}
		var before, after, goal float64
		if _, err := fmt.Sscanf(rest, "%f->%f->%f MB, %f MB goal, %f MB stacks", &before, &after, &live, &goal, &stacks); err == nil {
			return live, stacks, nil
		}
	}
	return 0, 0, errors.New("the daemon tells of no collection")
}

func (x *soakSample) record(dir string) error {
	size, err := sizeOf(dir)
	if errors.Is(err, os.ErrNotExist) { // a segment went while the others were counted
		size, err = sizeOf(dir)
	}
	if err != nil {
		return err
	}
	x.Record = float64(size) / 1e6
	closed, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	x.Segments = len(closed)
	return err
}

// entries counts tracked connections in the daemon's namespace and in that of its
// slivers' network.
func (n *soakNode) entries() (sum int, err error) {
	for _, path := range []string{"/run/netns/" + n.netns, "/run/netns/croft-" + n.tag} {
		s, err := spaceAt(path)
		if err != nil {
			return 0, err
		}
		err = within(s.NsHandle, func() error {
			text, err := os.ReadFile("/proc/thread-self/net/stat/nf_conntrack") // a line for each processor, each with the sum
			if err != nil {
				return err
			}
			lines := strings.Split(string(text), "\n")
			if len(lines) > 1 && len(strings.Fields(lines[1])) > 0 {
				v, err := strconv.ParseInt(strings.Fields(lines[1])[0], 16, 64)
				sum += int(v)
				return err
			}
			return nil
		})
		s.close()
		if err != nil {
			return 0, err
		}
	}
	return sum, nil
}
