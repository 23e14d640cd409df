// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"sync"
	"time"
)

// half is one direction of a stream. All of it is guarded by the link.
type half struct {
	from int // the end that writes

	flight  []parcel // written and not arrived, oldest first
	last    int64    // when the newest of them arrives
	timer   *time.Timer
	armed   bool
	ready   [][]byte // arrived and not read
	waiting int      // bytes of both
	moved   sync.Cond

	ended  bool  // the writer has said that this is all, and it has arrived
	deaf   bool  // the reader reads no more: what arrives is dropped
	failed error // of the stream, as the reader has heard
}

// parcel is bytes on their way, the end of the direction, or word of a reset.
type parcel struct {
	at    int64 // arrives; 0: waits for the wire to be whole
	bytes []byte
	end   bool
	reset error
}

// send puts a parcel on its way. The wire gives a connection up that loses too much.
func (h *half) send(p *pair, c parcel) {
	l := p.link
	a, b := l.ends[h.from].host, l.ends[1-h.from].host
	size := len(c.bytes) + overhead
	h.waiting += len(c.bytes)
	l.used.Store(now())
	a.spend(p.ends[h.from].Protocol(), size)
	if l.cut || len(h.flight) > 0 && h.flight[len(h.flight)-1].at == 0 {
		h.flight = append(h.flight, c)
		if l.reborn.Load() {
			l.knock(h.from)
		}
		return
	}
	way, ok := l.fabric.wires.Way(a.index, b.index, size)
	if !ok {
		end := l.ends[h.from]
		go end.CloseWithError(0)
		return
	}
	h.last = max(h.last, now()+int64(way), l.accept)
	c.at = h.last
	h.flight = append(h.flight, c)
	h.arm(p)
}

// resume sends what waited for the wire once more.
func (h *half) resume(p *pair) {
	l := p.link
	for i := range h.flight {
		if h.flight[i].at == 0 {
			way, _ := l.fabric.wires.Way(l.ends[h.from].host.index, l.ends[1-h.from].host.index, overhead)
			h.last = max(h.last, now()+int64(way))
			h.flight[i].at = h.last
		}
	}
	h.arm(p)
}

// arm sets the clock by the next arrival.
func (h *half) arm(p *pair) {
	if h.armed || len(h.flight) == 0 || h.flight[0].at == 0 {
		return
	}
	h.armed = true
	wait := time.Duration(max(h.flight[0].at-now(), 0))
	if h.timer == nil {
		h.timer = time.AfterFunc(wait, func() { h.arrive(p) })
	} else {
		h.timer.Reset(wait)
	}
}

// arrive takes what is due.
func (h *half) arrive(p *pair) {
	l := p.link
	to := l.ends[1-h.from]
	to.accepted() // its connection is there before its first stream
	l.mu.Lock()
	h.armed = false
	began := false
	for at := now(); len(h.flight) > 0 && h.flight[0].at != 0 && h.flight[0].at <= at; {
		c := h.flight[0]
		h.flight[0] = parcel{}
		h.flight = h.flight[1:]
		if len(h.flight) == 0 {
			h.flight = nil
		}
		if h.from == p.opener && !p.open {
			p.open, began = true, true
		}
		switch {
		case c.reset != nil:
			p.fail(1-h.from, c.reset)
		case c.end:
			h.ended = true
		case h.deaf || h.failed != nil || to.host.gone.Load():
			h.waiting -= len(c.bytes)
		case len(c.bytes) > 0:
			h.ready = append(h.ready, c.bytes)
		}
	}
	h.arm(p)
	s := p.ends[1-h.from]
	if to.closed.Load() { // before this stream came; the one who opened it is not told yet
		p.fail(1-h.from, to.reason())
		began = false
	}
	h.moved.Broadcast()
	l.mu.Unlock()
	if began {
		go to.host.serve(s)
	}
}

// fail ends a stream at one end: reads and writes there return err.
func (p *pair) fail(end int, err error) {
	in, out := &p.halfs[1-end], &p.halfs[end]
	if in.failed == nil {
		in.failed = err
		for _, b := range in.ready {
			in.waiting -= len(b)
		}
		in.ready = nil
	}
	s := p.ends[end]
	if s.failed == nil {
		s.failed = err
	}
	p.drop(end)
	in.moved.Broadcast()
	out.moved.Broadcast()
}

// drop forgets a stream at an end that has done with it, and for good when both have.
func (p *pair) drop(end int) {
	if !p.ends[end].dropped {
		p.ends[end].dropped = true
		p.link.ends[end].count--
	}
	if p.ends[1-end].dropped {
		delete(p.link.streams, p)
	}
}
