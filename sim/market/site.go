// SPDX-License-Identifier: Apache-2.0

package market

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"

	"croft/lease"
	"croft/lease/purse"
	"croft/lease/sign"
	"croft/node/agent"
)

// site is a node, an agent and users.
type site struct {
	m      *market
	name   string
	node   *sign.Key
	ledger *lease.Ledger
	key    *sign.Key // of the agent
	agent  *agent.Agent
	purse  *purse.Purse
	dead   bool
	users  []*user
}

func keyOf(name string) *sign.Key { return sign.FromSeed(sha256.Sum256([]byte("market " + name))) }

// begin makes the sites and lets the first things happen.
func (m *market) begin() error {
	for i := range m.cfg.Sites {
		m.sites = append(m.sites, m.newSite(fmt.Sprint("site ", i)))
	}
	for _, s := range m.sites {
		if err := s.open(); err != nil {
			return err
		}
		for _, u := range s.users {
			m.in(u.pause(), u.want)
		}
	}
	if m.cfg.Death > 0 {
		m.in(m.cfg.Death, func() {
			for _, s := range m.sites[:min(m.cfg.Dead, len(m.sites))] {
				s.dead = true
			}
		})
	}
	return nil
}

func (m *market) newSite(name string) *site {
	s := &site{m: m, name: name, node: keyOf(name + " node"), key: keyOf(name + " agent")}
	s.ledger = lease.NewLedger(lease.LedgerConfig{Key: s.node, Ports: lease.PortRange{First: 20_000, Last: 20_010}, Pools: []lease.PoolRule{
		{Pool: lease.PoolSharp, Mechanism: lease.MechanismSharp, Capacity: lease.RSet{lease.CPU: units * unit}}}})
	s.purse = purse.New(s.key)
	for i := range users {
		key := keyOf(fmt.Sprint(name, " user ", i))
		s.users = append(s.users, &user{site: s, key: key, purse: purse.New(key),
			rng: rand.New(rand.NewPCG(m.cfg.Seed, uint64(len(m.sites)*users+i)+2))})
	}
	return s
}

// open has the node give all that it leases to the agent, and starts the agent.
func (s *site) open() error {
	cfg := agent.Config{Nodes: []lease.Principal{s.node.Principal()},
		Guests: agent.Person{Most: lease.RSet{lease.CPU: 2 * unit}, Longest: int64(longest.Seconds())}}
	for _, u := range s.users {
		cfg.People = append(cfg.People, agent.Person{Name: "user", Principal: u.key.Principal(), Most: lease.RSet{lease.CPU: 4 * unit}, Longest: int64(longest.Seconds())})
	}
	for _, peer := range s.m.sites {
		if peer != s { // what is not for the own users goes to the peers in equal parts, all of it times the degree
			share := (100 - s.m.cfg.Own) * int(s.m.cfg.Degree) / (lease.MinDegree * (len(s.m.sites) - 1))
			cfg.Peers = append(cfg.Peers, agent.Peer{Name: peer.name, Principal: peer.key.Principal(), Share: share, Degree: lease.MinDegree, Term: int64(s.m.cfg.Term.Seconds())})
		}
	}
	s.agent = agent.New(cfg, s.purse, agent.Account{})
	now := s.m.now.Unix()
	answer := s.step(lease.Issue{Ref: s.m.ref(), Holder: s.key.Principal(), RSet: lease.RSet{lease.CPU: units * unit}, Degree: s.m.cfg.Degree,
		Term: lease.Term{From: now, Until: now + 2*3600}, Request: lease.Request{1}})
	if answer.Refusal != nil {
		return answer.Refusal
	}
	s.tell(agent.Came{From: s.node.Principal(), Chains: [][][]byte{answer.Statements}})
	s.m.in(0, s.tick)
	return nil
}

// step has the ledger do something and returns its answer.
func (s *site) step(in lease.Input) (answer lease.Answer) {
	for _, e := range s.ledger.Step(s.m.now, in) {
		if a, ok := e.(lease.Answer); ok {
			answer = a
		}
	}
	return answer
}

// tick lets the agent look by itself.
func (s *site) tick() {
	if s.dead {
		return
	}
	s.tell(agent.Tick{})
	at, _ := s.agent.NextWake()
	s.m.in(max(at.Sub(s.m.now), 1), s.tick)
}

// tell gives the agent an input, does what it wants, and returns its answer to a
// wish.
func (s *site) tell(in agent.Input) (answer agent.Answer) {
	inputs := []agent.Input{in}
	for len(inputs) > 0 {
		next := inputs[0]
		inputs = inputs[1:]
		for _, e := range s.agent.Step(s.m.now, next) {
			switch e := e.(type) {
			case agent.Sign:
				inputs = append(inputs, s.sign(e))
			case agent.Answer:
				answer = e
			case agent.Deliver:
				for _, peer := range s.m.sites {
					if peer.key.Principal() == e.To && !peer.dead {
						s.m.in(0, func() { peer.tell(agent.Came{From: s.key.Principal(), Chains: [][][]byte{e.Chain}}) })
					}
				}
			case agent.Fetch: // the node has no more to give than it gave
				inputs = append(inputs, agent.Came{From: e.Node})
			}
		}
	}
	return answer
}

// sign has the agent's purse do something.
func (s *site) sign(e agent.Sign) agent.Input {
	chain, err := release(s.purse.Step(s.m.now, e.In))
	if err != nil {
		return agent.Declined{Ref: e.Ref, Why: err}
	}
	return agent.Signed{Ref: e.Ref, Chain: chain}
}

// release is what a purse hands out.
func release(effects []purse.Effect) (chain [][]byte, err error) {
	for _, e := range effects {
		switch e := e.(type) {
		case purse.Release:
			chain = e.Chain
		case purse.Refuse:
			err = e.Err
		}
	}
	return chain, err
}
