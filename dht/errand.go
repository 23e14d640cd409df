// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"slices"
	"time"
)

// An errand is what a Registration and a Search are made of: look-ups and requests
// under way, each with what goes on when it is answered.
type errand struct {
	now    time.Time
	out    []IndexEffect
	number int
	sent   map[int]func(Response, bool)
	routes map[Key][]func(Routed) // who waits for each look-up
	alarms []alarm
	begun  bool
	ended  bool
}

type alarm struct {
	at   time.Time
	ring func()
}

// step applies one input; begin is what the first does.
func (e *errand) step(now time.Time, in IndexInput, begin func()) []IndexEffect {
	e.now, e.out = now, nil
	if e.ended {
		return nil
	}
	if !e.begun {
		e.begun, e.sent, e.routes = true, map[int]func(Response, bool){}, map[Key][]func(Routed){}
		begin()
	}
	switch in := in.(type) {
	case Routed:
		waiting := e.routes[in.Key]
		delete(e.routes, in.Key)
		for _, on := range waiting {
			if !e.ended {
				on(in)
			}
		}
	case Replied:
		e.heard(in.Number, in.Response, true)
	case Unheard:
		e.heard(in.Number, Response{}, false)
	}
	for len(e.alarms) > 0 && !now.Before(e.alarms[0].at) && !e.ended {
		ring := e.alarms[0].ring
		e.alarms = e.alarms[1:]
		ring()
	}
	return e.out
}

func (e *errand) heard(number int, r Response, ok bool) {
	if on, waited := e.sent[number]; waited {
		delete(e.sent, number)
		on(r, ok)
	}
}

// NextWake reports when to call again with a Tick.
func (e *errand) NextWake() (time.Time, bool) {
	if e.ended || len(e.alarms) == 0 {
		return time.Time{}, false
	}
	return e.alarms[0].at, true
}

func (e *errand) emit(x IndexEffect) { e.out = append(e.out, x) }

func (e *errand) route(r Route, on func(Routed)) {
	if e.routes[r.Key] = append(e.routes[r.Key], on); len(e.routes[r.Key]) == 1 { // else it is under way
		e.emit(r)
	}
}

func (e *errand) send(to Key, req Request, on func(Response, bool)) (number int) {
	e.number++
	e.sent[e.number] = on
	e.emit(Send{e.number, to, req})
	return e.number
}

// forget gives up a request, if it is still under way.
func (e *errand) forget(number int) {
	if _, waited := e.sent[number]; waited {
		delete(e.sent, number)
		e.emit(Forget{number})
	}
}

func (e *errand) after(d time.Duration, ring func()) {
	at := e.now.Add(d)
	i, _ := slices.BinarySearchFunc(e.alarms, at, func(a alarm, at time.Time) int {
		if a.at.After(at) {
			return 1
		}
		return -1 // behind those of the same instant
	})
	e.alarms = slices.Insert(e.alarms, i, alarm{at, ring})
}

func (e *errand) end() {
	e.ended = true
	e.emit(Ended{})
}

// each begins something with each of so many items, at most width of them at once,
// each of which calls next when it is through; done comes after the last.
func each(width, items int, begin func(i int, next func()), done func()) {
	if items == 0 {
		done()
		return
	}
	begun, through := 0, 0
	var fill func()
	next := func() {
		if through++; through == items {
			done()
		} else {
			fill()
		}
	}
	fill = func() { // next may come at once
		for begun < items && begun-through < width {
			begun++
			begin(begun-1, next)
		}
	}
	fill()
}
