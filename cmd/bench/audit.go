// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
	"croft/lease"
)

const (
	auditSpan = int64(300e9) // of a segment
	auditRows = 11_600       // of a segment: a hundred million in thirty days
)

// auditLines measures the record of flows: what appending and closing cost, what a
// row takes, what a question reads, and what a proof costs.
func (b *bench) auditLines(ctx context.Context) error {
	dir, err := os.MkdirTemp("/var/tmp", "croft-bench-audit-") // a real disk, which /tmp may not be
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	segments := int(b.days * 24 * 12)
	if b.quick {
		segments = min(segments, 100)
	}
	kept := b.history
	if kept == "" {
		kept = filepath.Join(dir, "history")
	}
	begin := someday * int64(time.Second)
	h := newHistory(1, auditRows, begin, auditSpan)
	s, err := b.fill(ctx, kept, dir, h, segments, fmt.Sprintf("%.3g days of a node, %d rows", float64(segments)/288, segments*h.rows))
	if err != nil {
		return err
	}
	defer s.Close()
	if err := b.scanned(ctx, dir, begin); err != nil {
		return err
	}
	if err := b.asked(ctx, s, kept, h, segments); err != nil {
		return err
	}
	return b.shown(ctx, s, segments)
}

// fill brings a history into a store, an epoch a segment, and measures it. What is
// there from an earlier run stays.
func (b *bench) fill(ctx context.Context, dir, scratch string, h *history, segments int, what string) (_ *store.Store, err error) {
	key := keyOf("node")
	s, err := store.Open(dir, store.Options{Node: key.Principal(), Budget: 64 << 30, Reserve: -1, Retention: 400 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	there := 0
	if head, ok := s.Head(); ok {
		there = int(head.Size)
	} else {
		for _, t := range h.tenures() {
			if err := s.AppendTenure(t); err != nil {
				return nil, err
			}
		}
	}
	raw, err := os.Create(filepath.Join(scratch, "raw"))
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	var appending, plainly, closing sample
	for n := there; n < segments; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e := h.epoch(n)
		each := float64(time.Microsecond) * float64(h.rows)
		start := time.Now()
		if err := s.Append(e); err != nil {
			return nil, err
		}
		appending = append(appending, float64(time.Since(start))/each)
		start = time.Now()
		if _, err := raw.WriteAt(make([]byte, 46*h.rows), 0); err != nil { // as many bytes as the epoch takes, about
			return nil, err
		}
		if err := raw.Sync(); err != nil {
			return nil, err
		}
		plainly = append(plainly, float64(time.Since(start))/each)
		start = time.Now()
		if _, err := s.Turn(ctx, time.Unix(0, e.At+auditSpan), key); err != nil {
			return nil, err
		}
		closing = append(closing, float64(time.Since(start))/each)
	}
	size, err := sizeOf(dir)
	if err != nil {
		return nil, err
	}
	head, _ := s.Head()
	if len(appending) > 0 {
		b.add(against("audit append, "+what, "µs/row", appending, "its bytes written and synced", plainly, nil,
			fmt.Sprintf("an epoch of %d rows at once, durable: %.2g million rows/s", h.rows, 1/appending.median())))
		b.add(plain("audit close: sorted, hashed, compressed, in the log, signed", "µs/row", closing, nil,
			fmt.Sprintf("%.2g million rows/s, of one core and several syncs a segment", 1/closing.median())))
	}
	row := float64(size) / float64(int(head.Size)*h.rows)
	b.add(plain("audit size: "+what, "B/row", sample{row}, nil, fmt.Sprintf("%d MB in all", size>>20)))
	var goal *goal
	if !h.scan {
		goal = atMost(0.8)
	}
	mean := h.mean()
	b.add(plain("audit size of bytes carried", "%", sample{100 * row / mean}, goal, fmt.Sprintf("a row stands for %.0f bytes in the mean here", mean)))
	return s, nil
}

// scanned is the worst case: every packet is a new flow of 40 bytes.
func (b *bench) scanned(ctx context.Context, dir string, begin int64) error {
	h := newHistory(2, auditRows*10, begin, auditSpan)
	h.scan = true
	s, err := b.fill(ctx, filepath.Join(dir, "scan"), dir, h, b.rounds(20, 3), "every packet a new flow")
	if err != nil {
		return err
	}
	return s.Close()
}

func sizeOf(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// cold puts a store's bytes out of the kernel's memory.
func cold(dir string) error {
	unix.Sync()
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	})
}

// asked asks who sent what was recorded, and what was not, with a cold disk.
func (b *bench) asked(ctx context.Context, s *store.Store, dir string, h *history, segments int) error {
	rng := rand.New(rand.NewPCG(3, 3))
	var known []ebpf.Flow // rows that are there, in every part of the history
	for range b.rounds(400, 60) {
		flows := h.epoch(rng.IntN(segments)).Flows
		for range 8 {
			if f := flows[rng.IntN(len(flows))]; f.Direction == ebpf.Egress {
				known = append(known, f)
			}
		}
	}
	for _, c := range []struct {
		what   string
		within time.Duration
		port   bool
		goal   *goal
	}{{"who, ± 5 s", 5 * time.Second, true, atMost(2000)}, {"who, ± 5 s, source port not known", 5 * time.Second, false, nil}, {"who, ± 1 h", time.Hour, true, nil}} {
		if err := cold(dir); err != nil {
			return err
		}
		var took, read sample
		exact := 0
		for range b.rounds(1000, 100) {
			f := known[rng.IntN(len(known))]
			q := audit.Who{Src: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), 0), Dst: f.Dst, Proto: f.Proto, At: f.First, Within: int64(c.within)}
			if c.port {
				q.Src = netip.AddrPortFrom(q.Src.Addr(), uint16(1024+f.Place*1000+rng.IntN(1000)))
			}
			start := time.Now()
			found, err := s.Who(ctx, q)
			if err != nil {
				return err
			}
			took = append(took, float64(time.Since(start))/float64(time.Millisecond))
			read = append(read, float64(found.Read))
			if len(found.Slices) == 0 {
				return fmt.Errorf("%s: nobody sent %s", c.what, f)
			}
			if found.Verdict() == "exact" {
				exact++
			}
		}
		b.add(plain("audit "+c.what+", p95, cold", "ms", sample{took.quantile(0.95)}, c.goal,
			fmt.Sprintf("%d questions; median %.3g ms, slowest %.3g ms; %d exact, of the rest several slices used the address then", len(took), took.median(), took.quantile(1), exact)))
		b.add(plain("audit "+c.what+", bytes read", "B", read, nil, fmt.Sprintf("p95 %.0f, most %.0f, of the whole history's", read.quantile(0.95), read.quantile(1))))
	}
	// An address that nobody ever sent to, in all of the history.
	if err := cold(dir); err != nil {
		return err
	}
	var took, read sample
	for n := range b.rounds(5, 2) {
		start := time.Now()
		q := audit.Remote{Dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(90 + n), 1, 3, 3}), 0), Until: 1 << 62}
		var bytes int64
		for more := true; more; {
			p, err := s.Remote(ctx, q)
			if err != nil {
				return err
			}
			bytes, more, q.After = bytes+p.Read, p.Cut, p.Next
		}
		took, read = append(took, float64(time.Since(start))/float64(time.Millisecond)), append(read, float64(bytes))
	}
	b.add(plain("audit who sent to an address, in all of the history", "ms", took, nil, fmt.Sprintf("%.0f kB read, of %d segments; the first cold", read.median()/1000, segments)))
	return nil
}

// shown measures proofs of one row under the newest head.
func (b *bench) shown(ctx context.Context, s *store.Store, segments int) error {
	rng := rand.New(rand.NewPCG(4, 4))
	var making, size, ours, theirs sample
	head, _ := s.Head()
	signed, err := lease.ParseSigned(head.Bytes, audit.MaxHead)
	if err != nil {
		return err
	}
	message := append([]byte(audit.HeadDomain), signed.Payload...)
	for range b.rounds(200, 20) {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		p, err := s.Prove(uint64(rng.IntN(segments)), uint64(rng.IntN(auditRows)))
		if err != nil {
			return err
		}
		making = append(making, float64(time.Since(start))/float64(time.Millisecond))
		raw := p.Bytes()
		size = append(size, float64(len(raw)))
		const each = 10
		start = time.Now()
		for range each {
			if _, err := audit.VerifyProof(raw); err != nil {
				return err
			}
		}
		ours = append(ours, float64(time.Since(start))/float64(time.Microsecond)/each)
		start = time.Now()
		for range each {
			if !ed25519.Verify(head.Node[:], message, signed.Sig) {
				return lease.ErrSignature
			}
		}
		theirs = append(theirs, float64(time.Since(start))/float64(time.Microsecond)/each)
	}
	b.add(plain("audit proof of a row and its tenure, made", "ms", making, nil, fmt.Sprintf("its segment of %d rows is read and hashed", auditRows)))
	b.add(plain("audit proof of a row and its tenure, size", "B", size, nil, fmt.Sprintf("under a head of %d segments", head.Size)))
	b.add(against("audit proof of a row and its tenure, verified", "µs", ours, "1 × Ed25519", theirs, nil, ""))
	return nil
}
