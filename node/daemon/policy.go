// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"croft/lease"
	"croft/lease/policy"
	"croft/node/api"
)

// Base is what holds on this machine where the owner's policy is silent: what
// was measured, and what croft.toml says of it.
func Base(cfg Config) policy.Base {
	has := machine(cfg.State)
	measured := defaultCapacity(has) // the rest is told, not measured
	measured[lease.CPU], measured[lease.Memory], measured[lease.Disk] = uint64(runtime.NumCPU())*1000, has.Memory, has.Disk
	base := policy.NewBase(measured)
	if !cfg.Capacity.IsZero() {
		base.Capacity = cfg.Capacity
	}
	if !cfg.Commons.IsZero() {
		base.Each = cfg.Commons
	}
	return base
}

// PolicyFile is where a node's policy is: what croft.toml names, or policy.toml
// in the state directory.
func PolicyFile(cfg Config) string {
	if cfg.Policy != "" {
		return cfg.Policy
	}
	return filepath.Join(cfg.State, "policy.toml")
}

// LoadedPolicy is a policy as it was read at an instant.
type LoadedPolicy struct {
	policy.Policy
	File   string    // empty: there is none
	At     time.Time // when it was read
	Lapsed []error   // followed policies that do not hold at that instant
	next   int64     // Unix seconds at which a followed policy begins or ceases to hold; 0: never
}

// LoadPolicy reads the policy in a file, and the signed ones that it follows,
// relative to it. An empty path is no policy. The error matches
// policy.ErrPolicy, or is what kept the file from being read.
func LoadPolicy(path string, base policy.Base, now time.Time) (LoadedPolicy, error) {
	out := LoadedPolicy{File: path, At: now}
	var own *policy.Source
	var followed []*policy.Source
	if path != "" {
		text, err := readBounded(path, policy.MaxText)
		if err != nil {
			return out, err
		}
		if own, err = policy.Read(filepath.Base(path), text); err != nil {
			return out, err
		}
		for _, f := range own.Follows() {
			doc, err := openFollowed(filepath.Dir(path), f)
			if err == nil {
				err = doc.Holds(f.By, now.Unix())
				out.until(doc.Term(), now.Unix())
			}
			switch {
			case errors.Is(err, policy.ErrTerm):
				out.Lapsed = append(out.Lapsed, err)
			case err != nil:
				return out, policy.Errors{{Mark: f.Mark, Text: "cannot follow " + f.File, Want: err.Error()}}
			default:
				followed = append(followed, doc.Source)
			}
		}
	}
	var err error
	out.Policy, err = base.Compile(own, followed...)
	return out, err
}

// until notes the next instant at which a document's word changes.
func (p *LoadedPolicy) until(t lease.Term, now int64) {
	for _, at := range []int64{t.From, t.Until} {
		if at > now && (p.next == 0 || at < p.next) {
			p.next = at
		}
	}
}

func openFollowed(dir string, f policy.Followed) (policy.Opened, error) {
	path := f.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	b, err := readBounded(path, policy.MaxDocument)
	if err != nil {
		return policy.Opened{}, err
	}
	return policy.Open(b)
}

// readBounded reads a file of at most limit bytes; of a longer one so much that
// whoever parses it sees that it is too long.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// rules keeps the policy in force.
type rules struct {
	base policy.Base
	file string
	must bool // the file was named: that it is not there is an error

	now   atomic.Pointer[LoadedPolicy]
	mu    sync.Mutex // one reload at a time
	fault atomic.Pointer[policyFault]
}

// policyFault is why the newest policy is not the one in force.
type policyFault struct {
	err error
	at  time.Time
}

func newRules(cfg Config, now time.Time) (*rules, error) {
	r := &rules{base: Base(cfg), file: PolicyFile(cfg), must: cfg.Policy != ""}
	p, err := r.load(now)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, r.file, err)
	}
	r.now.Store(&p)
	return r, nil
}

func (r *rules) load(now time.Time) (LoadedPolicy, error) {
	p, err := LoadPolicy(r.file, r.base, now)
	if errors.Is(err, fs.ErrNotExist) && !r.must && !errors.Is(err, policy.ErrPolicy) {
		return LoadPolicy("", r.base, now)
	}
	return p, err
}

// inForce is the policy by which wishes are judged now.
func (d *Daemon) inForce() *LoadedPolicy { return d.rules.now.Load() }

// Reload reads the owner's policy again and puts it in force, and the site's
// certificate. If anything is wrong with one, the old one stays. It returns when the ledger goes by it.
func (d *Daemon) Reload(ctx context.Context) error {
	r := d.rules
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := d.site.reload(); err != nil {
		d.deps.Log.Error("reloading", "err", err)
	}
	now := d.deps.Clock.Wall()
	p, err := r.load(now)
	if err != nil {
		r.fault.Store(&policyFault{err, now})
		return fmt.Errorf("%w: %s: %w", api.ErrPolicy, r.file, err)
	}
	// First the new pointer: a core that is built anew meanwhile is given it too.
	r.now.Store(&p)
	r.fault.Store(nil)
	if err := d.submit(ctx, ledgerRules(p.Policy)); err != nil {
		return err
	}
	if _, err := look(ctx, d, func(*lease.Ledger) struct{} { return struct{}{} }); err != nil {
		return err
	}
	d.tellLapsed(&p)
	d.deps.Log.Info("the policy is in force", "file", p.File, "pools", len(p.Pools), "gives", len(p.Gives), "refused", len(p.Refused))
	d.offers.tell()
	d.gives.poke()
	return nil
}

func (d *Daemon) tellLapsed(p *LoadedPolicy) {
	for _, err := range p.Lapsed {
		d.deps.Log.Warn("a policy is not followed", "err", err)
	}
}

func ledgerRules(p policy.Policy) lease.Rules {
	return lease.Rules{Pools: p.Rules(), Refused: p.Barred(), HoldFuse: p.Hold, ActivateFuse: p.Activation, Grace: uint32(p.Grace),
		Quarantine: p.Quarantine}
}

// Policy is what is in force, and what is wrong with what is not.
func (d *Daemon) policyStatus(ctx context.Context) (api.Policy, error) {
	p := d.inForce()
	out := api.Policy{File: p.File, Loaded: p.At, Policy: p.Policy, Words: p.Words()}
	for _, err := range p.Lapsed {
		out.Lapsed = append(out.Lapsed, err.Error())
	}
	out.Fault = d.policyFault()
	var err error
	out.Given, err = d.gives.state(ctx)
	return out, err
}

// policyFault says why the newest policy is not in force; empty: it is.
func (d *Daemon) policyFault() string {
	if f := d.rules.fault.Load(); f != nil {
		return fmt.Sprintf("%s: %v (tried %s)", d.rules.file, f.err, f.at.UTC().Format(time.RFC3339))
	}
	return ""
}

// PolicyCheck is the line of croft doctor about the policy; none without a file.
func PolicyCheck(cfg Config, now time.Time) []api.Check {
	path := PolicyFile(cfg)
	p, err := LoadPolicy(path, Base(cfg), now)
	switch {
	case errors.Is(err, fs.ErrNotExist) && cfg.Policy == "":
		return nil
	case err != nil:
		return []api.Check{{Name: "policy", Found: path, Need: err.Error(), Mend: "croft policy check " + path}}
	case len(p.Lapsed) > 0:
		return []api.Check{{Name: "policy", Found: path, Need: errors.Join(p.Lapsed...).Error(), Mend: "fetch the newer document of whom you follow, or leave it away"}}
	}
	return []api.Check{{Name: "policy", OK: true, Found: fmt.Sprintf("%s: %d pools, %d gives, %d refused", path, len(p.Pools), len(p.Gives), len(p.Refused))}}
}
