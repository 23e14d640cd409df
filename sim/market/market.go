// SPDX-License-Identifier: Apache-2.0

package market

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"croft/lease"
)

// Config says what hour is played.
type Config struct {
	Sites  int           // 0 is 4
	Degree uint16        // of what nodes give to their agents, hundredths; 0 is 100
	Own    int           // per cent of a ticket at degree 100 that stays for the site's users; 0 is 40
	Load   float64       // of all that there is, if everything wished were served; 0 is 0.8
	Seed   uint64        // of users' choices
	Length time.Duration // 0 is an hour
	Death  time.Duration // when agents die; 0 is never
	Dead   int           // how many of them, those of the first sites
	Term   time.Duration // of what agents pass to their peers; 0 is an hour
}

const (
	units   = 10              // of what a user wants, on each node
	unit    = 1000            // a core
	users   = 12              // of each site
	shortly = 2 * time.Minute // shortest lease
	longest = 6 * time.Minute // longest
	mean    = (shortly + longest) / 2
	tries   = 4 // nodes that a user tries for one wish
)

// Result is what became of the wishes.
type Result struct {
	Config
	Whole  Count   // of the hour
	Before Count   // of those before the death
	After  Count   // and after it
	Orphan Count   // of those after it, the dead agents' own users'
	Used   float64 // share of all that there is that was leased, over the hour
	Late   float64 // the same from when all that was leased before the death has ended
	Proofs int     // conflicts that any ledger found: none, if agents are honest
}

// Count counts wishes.
type Count struct {
	Wishes  int
	Served  int
	Refused map[string]int // tickets refused by a node, by code
	Empty   int            // wishes for which no agent had a ticket
}

// Share is the part of the wishes that was served.
func (c Count) Share() float64 { return float64(c.Served) / float64(max(c.Wishes, 1)) }

// epoch is when every hour begins: any instant will do.
var epoch = time.Unix(1_800_000_000, 0)

// market is one hour under way.
type market struct {
	cfg    Config
	rng    *rand.Rand // of whom users ask; each has its own for what it wants
	now    time.Time
	events events
	order  int
	sites  []*site
	refs   uint64
	result Result
	err    error
	used   float64 // unit·seconds
	late   float64 // of those, after the death
}

// Run plays an hour.
func Run(cfg Config) (Result, error) {
	if cfg.Sites == 0 {
		cfg.Sites = 4
	}
	if cfg.Degree == 0 {
		cfg.Degree = lease.MinDegree
	}
	if cfg.Own == 0 {
		cfg.Own = 40
	}
	if cfg.Load == 0 {
		cfg.Load = 0.8
	}
	if cfg.Length == 0 {
		cfg.Length = time.Hour
	}
	if cfg.Term == 0 {
		cfg.Term = time.Hour
	}
	m := &market{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 1)), now: epoch}
	if err := m.begin(); err != nil {
		return Result{}, fmt.Errorf("beginning the hour: %w", err)
	}
	end := epoch.Add(cfg.Length)
	for len(m.events) > 0 && m.err == nil && !m.events[0].at.After(end) {
		e := heap.Pop(&m.events).(event)
		m.now = e.at
		e.do()
	}
	m.finish()
	return m.result, m.err
}

// finish adds up what the counts do not say.
func (m *market) finish() {
	m.result.Config = m.cfg
	for _, s := range m.sites {
		m.result.Proofs += len(s.ledger.Proofs())
	}
	m.result.Used = m.used / (m.cfg.Length.Seconds() * units * float64(m.cfg.Sites))
	if rest := m.cfg.Length - m.settled(); m.cfg.Death > 0 && rest > 0 {
		m.result.Late = m.late / (rest.Seconds() * units * float64(m.cfg.Sites))
	}
	for _, c := range []Count{m.result.Before, m.result.After} {
		m.result.Whole.Wishes += c.Wishes
		m.result.Whole.Served += c.Served
		m.result.Whole.Empty += c.Empty
		for code, n := range c.Refused {
			m.result.Whole.refuse(code, n)
		}
	}
}

// settled is from when on nothing runs that was leased before the death.
func (m *market) settled() time.Duration { return m.cfg.Death + longest }

// leased counts what was leased, as far as it lies in the hour.
func (m *market) leased(term lease.Term) {
	end := epoch.Add(m.cfg.Length).Unix()
	m.used += float64(min(term.Until, end) - term.From)
	if m.cfg.Death > 0 {
		m.late += float64(max(min(term.Until, end)-max(term.From, epoch.Add(m.settled()).Unix()), 0))
	}
}

func (c *Count) refuse(code string, n int) {
	if c.Refused == nil {
		c.Refused = map[string]int{}
	}
	c.Refused[code] += n
}

// counts are those that a wish of a site's user belongs to now.
func (m *market) counts(s *site) []*Count {
	if m.cfg.Death == 0 || m.now.Before(epoch.Add(m.cfg.Death)) {
		return []*Count{&m.result.Before}
	}
	if s.dead {
		return []*Count{&m.result.After, &m.result.Orphan}
	}
	return []*Count{&m.result.After}
}

// An event is something that happens at an instant; those of one instant in the
// order in which they were made.
type event struct {
	at    time.Time
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].order < e[j].order
	}
	return e[i].at.Before(e[j].at)
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (m *market) in(d time.Duration, do func()) {
	m.order++
	heap.Push(&m.events, event{m.now.Add(d), m.order, do})
}

func (m *market) ref() uint64 {
	m.refs++
	return m.refs
}
