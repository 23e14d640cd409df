// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"croft/lease"
	"croft/lease/purse"
	"croft/lease/sign"
	"croft/node/agent"
	"croft/node/safe"
)

// Nodes is how the agent reaches nodes, and what its way in knows.
type Nodes interface {
	// Tickets returns what a node has given to the agent.
	Tickets(ctx context.Context, node lease.Principal) ([][][]byte, error)
	// Quarantined returns who is proved to have broken a promise, as far as the
	// way in knows.
	Quarantined(ctx context.Context) ([]agent.Proved, error)
}

// Config is fixed for the life of a Host.
type Config struct {
	Dir   string
	Key   *sign.Key
	Agent agent.Config
	Nodes Nodes
	Log   *slog.Logger
}

const (
	fetchLimit    = 20 * time.Second // for one node's answer
	provedEvery   = 10 * time.Second // between looks at the way in's conflicts
	postEvery     = 2 * time.Second  // between looks into DIR/in
	maxInputs     = 256
	closeLimit    = time.Second
	headerLimit   = 10 * time.Second
	requestLimit  = 30 * time.Second
	accountFile   = "account.json"
	socketFile    = "agent.sock"
	maxAccount    = 16 << 20
	maxPostFiles  = 256 // read at a time
	ticketSuffix  = ".ticket"
	refusedSuffix = ".refused"
)

// Host is an agent on a machine.
type Host struct {
	cfg    Config
	safe   *safe.Safe
	agent  *agent.Agent
	inputs chan func() // run by the one goroutine that owns agent and purse
	answer map[uint64]chan agent.Answer
	refs   uint64
	socket net.Listener
	ctx    context.Context // of Run
	work   *errgroup.Group
}

// Socket is where the agent of a directory listens.
func Socket(dir string) string { return filepath.Join(dir, socketFile) }

// Open opens the purse, which waits while another agent has it, reads the account
// and takes the socket.
func Open(ctx context.Context, cfg Config) (h *Host, err error) {
	for _, d := range []string{"in", "out"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("opening the agent: %w", err)
		}
	}
	account, err := readAccount(filepath.Join(cfg.Dir, accountFile))
	if err != nil {
		return nil, fmt.Errorf("reading the account: %w", err)
	}
	s, err := safe.Open(ctx, filepath.Join(cfg.Dir, "purse"), cfg.Key)
	if err != nil {
		return nil, err
	}
	h = &Host{cfg: cfg, safe: s, agent: agent.New(cfg.Agent, s, account), inputs: make(chan func(), maxInputs), answer: map[uint64]chan agent.Answer{}}
	if h.socket, err = listen(Socket(cfg.Dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the agent's socket: %w", err), s.Close())
	}
	return h, nil
}

// listen takes the socket over: whoever had it had the purse too, which is ours.
func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func readAccount(path string) (a agent.Account, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	return a, err
}

// Run serves until ctx ends, or until the purse cannot be written any more.
func (h *Host) Run(ctx context.Context) error {
	h.work, h.ctx = errgroup.WithContext(ctx)
	server := &http.Server{Handler: h.routes(), ReadHeaderTimeout: headerLimit, ReadTimeout: requestLimit, WriteTimeout: 2 * requestLimit,
		BaseContext: func(net.Listener) context.Context { return h.ctx }}
	h.work.Go(func() error {
		if err := server.Serve(h.socket); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	h.work.Go(func() error {
		<-h.ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		return ignore(server.Shutdown(late), context.DeadlineExceeded)
	})
	h.work.Go(h.loop)
	h.work.Go(func() error { return h.every(postEvery, h.readPost) })
	h.work.Go(func() error { return h.every(provedEvery, h.lookForProofs) })
	return errors.Join(ignore(h.work.Wait(), context.Canceled), h.safe.Close())
}

func ignore(err, which error) error {
	if errors.Is(err, which) {
		return nil
	}
	return err
}

// every does something now and then until the host ends.
func (h *Host) every(d time.Duration, do func(context.Context)) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		do(h.ctx)
		select {
		case <-h.ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// loop owns agent and purse.
func (h *Host) loop() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var err error
		select {
		case <-h.ctx.Done():
			return nil
		case do := <-h.inputs:
			do()
			err = h.broken()
		case <-timer.C:
			h.step(agent.Tick{})
			err = h.broken()
		}
		if err != nil {
			return fmt.Errorf("writing to the purse: %w", err)
		}
		at, _ := h.agent.NextWake()
		timer.Reset(max(time.Until(at), 0))
	}
}

// broken reports whether the purse can be written: a purse that has refused
// something can, one whose journal failed cannot.
func (h *Host) broken() error {
	_, err := h.safe.Do(time.Now(), purse.Tick{})
	return err
}

// do has the loop do something; false if the host ends before.
func (h *Host) do(f func()) bool {
	select {
	case h.inputs <- f:
		return true
	case <-h.ctx.Done():
		return false
	}
}

func (h *Host) tell(in agent.Input) { h.do(func() { h.step(in) }) }

// step gives the agent an input and does what it wants, and what comes of that.
func (h *Host) step(in agent.Input) {
	inputs, changed := []agent.Input{in}, false
	for len(inputs) > 0 {
		next := inputs[0]
		inputs = inputs[1:]
		for _, e := range h.agent.Step(time.Now(), next) {
			h.cfg.Log.Debug("effect", "out", e)
			switch e := e.(type) {
			case agent.Fetch:
				h.work.Go(func() error { h.fetch(e.Node); return nil })
			case agent.Sign:
				inputs = append(inputs, h.sign(e))
			case agent.Deliver:
				h.post(e)
			case agent.Answer:
				if ch := h.answer[e.Ref]; ch != nil {
					ch <- e
					delete(h.answer, e.Ref)
				}
			case agent.Accounted:
				changed = true
			}
		}
	}
	if changed {
		if err := h.save(); err != nil {
			h.cfg.Log.Warn("the account is not written; it is tried again with the next change", "err", err)
		}
	}
}

func (h *Host) sign(e agent.Sign) agent.Input {
	chain, err := h.safe.Do(time.Now(), e.In)
	if err != nil {
		h.cfg.Log.Debug("the purse declined", "in", e.In, "err", err)
		return agent.Declined{Ref: e.Ref, Why: err}
	}
	return agent.Signed{Ref: e.Ref, Chain: chain}
}

func (h *Host) fetch(node lease.Principal) {
	ctx, cancel := context.WithTimeout(h.ctx, fetchLimit)
	defer cancel()
	chains, err := h.cfg.Nodes.Tickets(ctx, node)
	if err != nil {
		h.cfg.Log.Info("a node did not say what it gives", "node", node.Short(), "err", err)
		h.tell(agent.Failed{From: node, Why: err.Error()})
		return
	}
	h.tell(agent.Came{From: node, Chains: chains})
}

func (h *Host) lookForProofs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	list, err := h.cfg.Nodes.Quarantined(ctx)
	if err != nil {
		h.cfg.Log.Debug("the way in does not say who broke promises", "err", err)
		return
	}
	for _, p := range list {
		h.tell(p)
	}
}

// save writes the account, whole or not at all.
func (h *Host) save() error {
	b, err := json.Marshal(h.agent.Account())
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(h.cfg.Dir, accountFile), b)
}

// writeWhole replaces a file by one with other bytes.
func writeWhole(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
