// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/node/client"
	"croft/node/daemon"
	"croft/node/release"
	"croft/node/release/shelf"
)

// A release on trial has trialWithin to become as healthy as the daemon before it was,
// and has to stay so for trialSettle.
const (
	trialWithin = 90 * time.Second
	trialSettle = 10 * time.Second
)

// launch becomes the build that runs on this node, if that is another program than this
// one: the one that its owner installed is what a supervisor starts, always.
func launch(state string, log *slog.Logger) {
	self, err := os.Executable()
	if err != nil {
		return
	}
	s, err := shelf.Open(daemon.Versions(state))
	if err != nil || s.Has(self) {
		return // the daemon says so, or this is one of them
	}
	installed, err := release.ParseVersion(daemon.Version)
	if err != nil {
		return
	}
	if k, path, ok := s.Next(installed); ok {
		log.Info("this node runs a release", "version", k.Version, "program", path)
		log.Error("it does not start; the installed program runs", "err", become(path, self))
	}
}

// become is execve with the same arguments, open standard streams and process id. It
// returns if that fails.
func become(path, installed string) error {
	return unix.Exec(path, os.Args, withInstalled(installed))
}

// withInstalled is this process's environment, with which program its owner installed.
func withInstalled(path string) []string {
	env := []string{daemon.InstalledEnv + "=" + path}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, daemon.InstalledEnv+"=") {
			env = append(env, v)
		}
	}
	return env
}

// succeed has another build run in place of a daemon that ended for it. A release is tried
// first, as a child of this process: when it does what this daemon did, this process
// becomes it, else it becomes what it was. It returns only if it is stopped meanwhile, or
// nothing can be started.
func succeed(ctx context.Context, cfg daemon.Config, next *daemon.Succession, log *slog.Logger) error {
	installed := os.Getenv(daemon.InstalledEnv)
	if self, err := os.Executable(); installed == "" && err == nil {
		installed = self
	}
	if !next.Trial {
		return fmt.Errorf("starting %s: %w", next.Path, become(next.Path, installed))
	}
	t := shelf.Trial{Path: next.Path, Args: os.Args, Env: withInstalled(installed), Within: trialWithin, Settle: trialSettle,
		Healthy: func(ctx context.Context) error { return asGood(ctx, client.New(daemon.Socket(cfg.State)), next) }}
	log.Info("a release is tried", "version", next.Kept.Version)
	verdict := t.Run(ctx)
	if errors.Is(verdict, shelf.ErrStopped) {
		return nil // the next start takes it for interrupted
	}
	err := settle(cfg.State, verdict)
	switch {
	case err != nil:
		log.Error("how the trial of a release went could not be written down; what ran before runs", "verdict", verdict, "err", err)
	case verdict == nil:
		log.Info("a release is taken over", "version", next.Kept.Version)
		err = become(next.Path, installed)
		log.Error("a release that did on trial does not start", "err", err)
	default:
		log.Error("a release failed; what ran before runs", "version", next.Kept.Version, "why", verdict)
	}
	return fmt.Errorf("starting what ran before: %w", become("/proc/self/exe", installed))
}

// settle writes down how a trial went.
func settle(state string, verdict error) error {
	s, err := shelf.Open(daemon.Versions(state))
	if err != nil {
		return err
	}
	b := s.Book()
	if verdict == nil {
		b.Confirm()
	} else {
		b.Fail(verdict.Error(), time.Now())
	}
	return s.Save(b)
}

// asGood returns nil if a daemon is the version that it should be, and does what the one
// before it did.
func asGood(ctx context.Context, way *client.Way, want *daemon.Succession) error {
	st, err := way.Status(ctx)
	switch {
	case err != nil:
		return err
	case st.Version != want.Kept.Version.String():
		return fmt.Errorf("it says that it is %.40s", st.Version)
	case want.Hosting && !st.Hosting:
		return fmt.Errorf("it hosts nothing: %s", strings.Join(st.Why, "; "))
	case want.Joined && !st.Joined:
		return errors.New("it has no neighbour")
	}
	books, err := way.Books(ctx)
	if err != nil {
		return err
	}
	has := map[lease.ID]bool{}
	for _, c := range books {
		has[c.Lease] = true
	}
	for id, until := range want.Leases {
		if !has[id] && st.Time.Unix() < until {
			return fmt.Errorf("it has lost the lease %s", id.Short())
		}
	}
	return nil
}
