// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"croft/node/api"
	"croft/node/daemon"
	"croft/node/journal"
)

// collectAt is how much the heap of a daemon grows, in hundredths, before garbage is
// collected, unless GOGC says: half of what is usual. It allocates little, and what it
// keeps is taken from what its owner lends.
const collectAt = 50

func (a *app) up() *cobra.Command {
	var state, config, level string
	var join []string
	var visitor bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Join, and offer what this machine can spare",
		Long: `Join the overlay and stay. As root on a machine that has what it takes, the node
leases shares of itself out; else it is a visitor, which finds, leases and
controls like any other and hosts nothing. Ctrl-C ends the daemon: slivers run on
and end with their leases.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := daemon.DefaultConfig()
			if os.Geteuid() != 0 && !cmd.Flags().Changed("state") {
				state = filepath.Join(a.home, "state")
			}
			if config == "" {
				if path := filepath.Join(state, "croft.toml"); exists(path) {
					config = path
				}
			}
			if config != "" {
				var err error
				if cfg, err = daemon.ReadConfig(cfg, config); err != nil {
					return usage("`croft help config` lists the keys", "%w", err)
				}
			}
			cfg.State = state
			if err := checkJoin(join); err != nil {
				return err
			}
			cfg.Join = append(cfg.Join, join...)
			cfg.Visitor = cfg.Visitor || visitor
			log, err := logger(a, level)
			if err != nil {
				return err
			}
			launch(cfg.State, log)
			return a.serve(cmd.Context(), cfg, log)
		},
	}
	c.Flags().StringVar(&state, "state", daemon.DefaultConfig().State, "directory of all that this node keeps")
	c.Flags().StringVar(&config, "config", "", "configuration (default STATE/croft.toml, if it exists)")
	c.Flags().StringArrayVar(&join, "join", nil, "invitation, or address of a node, to join by: croft1…, /ip4/…/p2p/… (may be repeated)")
	c.Flags().BoolVar(&visitor, "visitor", false, "host nothing")
	c.Flags().StringVar(&level, "log", "info", "debug, info, warn or error")
	return c
}

// serve runs the daemon in the foreground.
func (a *app) serve(ctx context.Context, cfg daemon.Config, log *slog.Logger) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	d, err := daemon.Start(ctx, cfg, log)
	if err == nil {
		a.greet(cfg, d.Greeting())
		stop := onHangup(ctx, d.Daemon, log)
		err = d.Run(ctx)
		stop()
		if errors.Is(err, daemon.ErrSuccession) {
			err = succeed(ctx, cfg, d.Succession(), log)
		}
	}
	if errors.Is(err, daemon.ErrSocket) || errors.Is(err, journal.ErrLocked) {
		return fail(exitFailed, "is a daemon running already? name another directory with --state", "%w", err)
	}
	return err
}

// onHangup has a SIGHUP read the policy again, until stop or the end of ctx.
func onHangup(ctx context.Context, d *daemon.Daemon, log *slog.Logger) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			if err := d.Reload(ctx); err != nil && ctx.Err() == nil {
				log.Error("the policy was not taken", "err", err)
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		cancel()
		done.Wait()
	}
}

// greet says who this node is, and what it can and cannot offer, and why.
func (a *app) greet(cfg daemon.Config, s api.Status) {
	a.say("node %s  principal %s", s.Name, s.Node)
	for _, addr := range s.Addrs {
		a.say("  at %s", addr)
	}
	if s.Hosting {
		a.say("offers %s", s.Free)
	} else {
		a.say("visitor: hosts nothing")
		for _, why := range s.Why {
			a.say("  %s", why)
		}
	}
	a.say("socket %s", daemon.Socket(cfg.State))
}

func logger(a *app, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usage("debug, info, warn or error", "--log %s is no level", level)
	}
	if opt := (&slog.HandlerOptions{Level: l}); a.json {
		return slog.New(slog.NewJSONHandler(a.err, opt)), nil
	} else {
		return slog.New(slog.NewTextHandler(a.err, opt)), nil
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
