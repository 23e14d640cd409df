// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"croft/lease"
)

// place for a test's lab: a short path, for sockets, and a name of its own.
func spot(t *testing.T) (dir, name string) {
	t.Helper()
	base, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	dir, name = filepath.Join(base, "l"), "t"+strconv.FormatInt(time.Now().UnixNano()%1e9, 36)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), downTimeout)
		defer cancel()
		if err := Down(ctx, dir, DownOptions{}); err != nil && !errors.Is(err, ErrNoLab) {
			t.Error(err)
		}
		if err := Sweep(ctx, name); err != nil {
			t.Error(err)
		}
		os.RemoveAll(base)
	})
	return dir, name
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRootLab(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	var steps []string
	l, err := Up(t.Context(), Config{
		Dir: dir, Name: name, Croft: self(t),
		Identity: func(state string) (lease.Principal, error) {
			return lease.Principal{1, byte(len(state))}, nil
		},
		Certify: func(seed []byte, p lease.Principal) ([]byte, error) {
			return ed25519.Sign(ed25519.NewKeyFromSeed(seed), p[:]), nil
		},
		Progress: func(s string) { steps = append(steps, s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Nodes) != 5 || !s.Relay {
		t.Fatalf("status: %+v", s)
	}
	for _, n := range s.Nodes {
		if !n.Ready || n.Principal != "fake-"+n.Name {
			t.Errorf("%s is not ready: %+v", n.Name, n)
		}
		conf, err := os.ReadFile(filepath.Join(n.State, "croft.toml"))
		if err != nil {
			t.Fatal(err)
		}
		join := "/ip4/198.18.1.11/udp/4001/quic-v1/p2p/"
		if joins := strings.Contains(string(conf), join); joins == (n.Name == "uni-a/n1") {
			t.Errorf("%s: joins the first node: %v\n%s", n.Name, joins, conf)
		}
		if cert, err := os.ReadFile(filepath.Join(n.State, "site.cert")); err != nil || len(cert) != ed25519.SignatureSize {
			t.Errorf("%s: certificate of %d bytes, %v", n.Name, len(cert), err)
		}
	}
	if last := steps[len(steps)-1]; last != "up" {
		t.Errorf("the last step was %q", last)
	}

	t.Run("distance", func(t *testing.T) { distance(t, l) })
	t.Run("island", func(t *testing.T) {
		for _, to := range []string{"192.0.2.1", "198.18.77.1"} {
			code, err := l.Exec(t.Context(), "uni-a/n1", []string{"ping", "-n", "-c1", "-W1", to}, IO{})
			if err != nil || code == 0 {
				t.Errorf("ping %s: status %d, %v", to, code, err)
			}
		}
	})

	t.Run("bulk", func(t *testing.T) { bulk(t, l) })

	t.Run("datagrams", func(t *testing.T) { datagrams(t, l) })

	t.Run("exec", func(t *testing.T) {
		var out bytes.Buffer
		code, err := l.Exec(t.Context(), "lab-c/n1", []string{"sh", "-c", "cat; exit 7"}, IO{In: strings.NewReader("through"), Out: &out})
		if err != nil || code != 7 || out.String() != "through" {
			t.Errorf("status %d, %v, output %q", code, err, &out)
		}
		_, err = l.Exec(t.Context(), "uni-b/n1", []string{"true"}, IO{})
		if !errors.Is(err, ErrUnknownNode) || !strings.Contains(err.Error(), "uni-a/n1") {
			t.Errorf("a mistyped node: %v", err)
		}
	})

	t.Run("kill and start", func(t *testing.T) {
		const name = "isp-b/n1"
		if err := l.Kill(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := l.Kill(t.Context(), name); !errors.Is(err, ErrNotRunning) {
			t.Errorf("killing twice: %v", err)
		}
		s, err := l.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range s.Nodes {
			if (n.Pid == 0) != (n.Name == name) || n.Ready == (n.Name == name) {
				t.Errorf("after the kill: %+v", n)
			}
		}
		again, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Start(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := again.Start(t.Context(), name); !errors.Is(err, ErrRunning) {
			t.Errorf("starting twice: %v", err)
		}
		if err := again.Stop(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	})

	if _, err := Up(t.Context(), Config{Dir: dir, Croft: self(t)}); !errors.Is(err, ErrExists) {
		t.Errorf("a second lab in the directory: %v", err)
	}
	if _, err := Up(t.Context(), Config{Dir: dir + "2", Name: name, Croft: self(t)}); !errors.Is(err, ErrExists) {
		t.Errorf("a second lab of the name: %v", err)
	}
	wiped := make(map[string]bool)
	err = Down(t.Context(), dir, DownOptions{Destroy: func(_ context.Context, state string) error {
		// The thread is in the node's namespace: its address is here.
		address, err := exec.Command("ip", "-4", "-o", "addr", "show", "dev", card).Output()
		wiped[filepath.Base(state)+" "+strings.Fields(string(address) + " . . . .")[3]] = true
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(wiped) != 5 || !wiped["isp-b-2 198.18.2.12/24"] {
		t.Errorf("wiped %v", wiped)
	}
	nothingLeft(t, name, dir)
	if err := Down(t.Context(), dir, DownOptions{}); !errors.Is(err, ErrNoLab) {
		t.Errorf("down again: %v", err)
	}
}

func TestRootUpFailsAndCleansUp(t *testing.T) {
	needRoot(t)
	for what, c := range map[string]Config{
		"broken as asked": {Nodes: []NodeSpec{{Site: "uni-a"}, {Site: "lab-c", Labels: map[string]string{"broken": "yes"}}}},
		"exited before":   {N: 3, Croft: "/bin/false"},
	} {
		t.Run(what, func(t *testing.T) {
			dir, name := spot(t)
			c.Dir, c.Name = dir, name
			if c.Croft == "" {
				c.Croft = self(t)
			}
			if _, err := Up(t.Context(), c); !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), what) {
				t.Errorf("up: %v", err)
			}
			nothingLeft(t, name, dir)
		})
	}
}

func TestRootUpCancelled(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Up(ctx, Config{Dir: dir, Name: name, N: 3, Croft: self(t), Progress: func(s string) {
		if s == "daemon isp-b/n1" {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("up: %v", err)
	}
	nothingLeft(t, name, dir)
}
