// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
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

// ping returns the shortest of three round trips.
func ping(t *testing.T, l *Lab, from, to string) time.Duration {
	t.Helper()
	var out bytes.Buffer
	code, err := l.Exec(t.Context(), from, []string{"ping", "-n", "-c3", "-i0.2", "-W5", to}, IO{Out: &out, Err: &out})
	if err != nil || code != 0 {
		t.Fatalf("ping from %s to %s: status %d, %v\n%s", from, to, code, err, &out)
	}
	m := regexp.MustCompile(`rtt min/[^=]*= ([0-9.]+)/`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("ping printed:\n%s", &out)
	}
	ms, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ms * float64(time.Millisecond))
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

	t.Run("distance", func(t *testing.T) {
		sites := DefaultSites()
		for _, c := range []struct {
			from, to string
			oneWay   time.Duration
		}{
			{"uni-a/n1", "198.18.1.12", 0},
			{"uni-a/n1", "198.18.2.11", Distance(sites[0], sites[1])},
			{"lab-c/n1", "198.18.1.12", Distance(sites[2], sites[0])},
			{"outside", "198.18.3.11", Distance(outside, sites[2])},
			{"isp-b/n2", s.Outside.String(), Distance(outside, sites[1])},
		} {
			rtt := ping(t, l, c.from, c.to)
			t.Logf("%s to %s: %v, of which distance %v", c.from, c.to, rtt, 2*c.oneWay)
			// ping prints three digits, so it may round down.
			if rtt < 2*c.oneWay-10*time.Microsecond {
				t.Errorf("%s to %s: %v, less than twice %v", c.from, c.to, rtt, c.oneWay)
			}
			if c.oneWay == 0 && rtt >= Distance(sites[0], sites[1]) {
				t.Errorf("%s to %s: %v within a site", c.from, c.to, rtt)
			}
		}
		after, err := l.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w := after.Traffic.Wires["uni-a > isp-b"]; w.Packets < 3 || w.Dropped != 0 {
			t.Errorf("the relay counted %+v", after.Traffic)
		}
	})

	t.Run("island", func(t *testing.T) {
		for _, to := range []string{"192.0.2.1", "198.18.77.1"} {
			code, err := l.Exec(t.Context(), "uni-a/n1", []string{"ping", "-n", "-c1", "-W1", to}, IO{})
			if err != nil || code == 0 {
				t.Errorf("ping %s: status %d, %v", to, code, err)
			}
		}
	})

	t.Run("bulk", func(t *testing.T) { bulk(t, l) })

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

// bulk sends 8 MiB over the ocean and compares them: what the relay leaves of
// checksums and segmentation for the other side to do must come out right.
func bulk(t *testing.T, l *Lab) {
	s, err := load(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	from, _ := s.Plan.node("uni-a/n1")
	to, _ := s.Plan.node("lab-c/n1")
	data := make([]byte, 8<<20)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	var listener net.Listener
	err = within(to.NetNS, func() (err error) {
		listener, err = net.Listen("tcp4", to.Address.String()+":9000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan []byte, 1)
	go func() {
		defer close(got)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		got <- all
	}()
	var conn net.Conn
	err = within(from.NetNS, func() (err error) {
		// Without a deadline the dial stays on this thread.
		conn, err = net.Dial("tcp4", listener.Addr().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if all := <-got; !bytes.Equal(all, data) {
		t.Errorf("%d bytes came of %d, or others", len(all), len(data))
	}
	counted, err := traffic(t.Context(), l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	w := counted.Wires["uni-a > lab-c"]
	t.Logf("%d bytes in %d packets", w.Bytes, w.Packets)
	if w.Bytes/w.Packets < 1600 {
		t.Errorf("%d bytes in %d packets: segmentation was not left to the other side", w.Bytes, w.Packets)
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

// TestRootDownAfterKill kills the process that brings a lab up at each of its
// steps, and then takes down what it left.
func TestRootDownAfterKill(t *testing.T) {
	needRoot(t)
	for _, step := range []string{
		"site uni-a", "site outside", "node uni-a/n1", "node lab-c/n1", "relay",
		"daemon uni-a/n1", "daemon isp-b/n1", "ready uni-a/n1", "up",
	} {
		t.Run(step, func(t *testing.T) {
			dir, name := spot(t)
			cmd := exec.CommandContext(t.Context(), self(t), "die", dir, name, step)
			out, err := cmd.CombinedOutput()
			var status *exec.ExitError
			if !errors.As(err, &status) || status.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("it did not die at %s: %v\n%s", step, err, out)
			}
			if err := Down(t.Context(), dir, DownOptions{}); err != nil {
				t.Fatal(err)
			}
			nothingLeft(t, name, dir)
		})
	}
}

// TestRootDownAfterHalfANamespace: the name is there, the namespace is not yet.
func TestRootDownAfterHalfANamespace(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	p, err := draw(Config{Name: name, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(p.Nodes[0].Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (&record{Plan: p}).save(dir); err != nil {
		t.Fatal(err)
	}
	if err := shareNetNSDir(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(netnsPath(p.Nodes[0].NetNS), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	wiped := 0
	err = Down(t.Context(), dir, DownOptions{Destroy: func(context.Context, string) error { wiped++; return nil }})
	if err != nil || wiped != 1 {
		t.Fatalf("wiped %d nodes, %v", wiped, err)
	}
	nothingLeft(t, name, dir)
}

// TestRootSweepWithoutDirectory: names alone suffice.
func TestRootSweepWithoutDirectory(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	if _, err := Up(t.Context(), Config{Dir: dir, Name: name, N: 1, Croft: self(t)}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir, DownOptions{}); !errors.Is(err, ErrNoLab) {
		t.Errorf("down: %v", err)
	}
	if err := Sweep(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, name, dir)
}

// TestRootDownSparesOthers: a pid that was used again is not ours.
func TestRootDownSparesOthers(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	other := exec.CommandContext(t.Context(), "sleep", "300")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	p, err := draw(Config{Name: name, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	now, err := identify(other.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	stale := process{Pid: now.Pid, Start: now.Start - 1}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &record{Plan: p, Relay: stale, Daemons: map[string]process{p.Nodes[0].Name: stale}}
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir, DownOptions{}); err != nil {
		t.Fatal(err)
	}
	if !now.alive() {
		t.Error("a process that the lab did not start is gone")
	}
	nothingLeft(t, name, dir)
}

// TestRootDownStopsAtAMount: removing files through a mount would be worse
// than leaving them.
func TestRootDownStopsAtAMount(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	if _, err := Up(t.Context(), Config{Dir: dir, Name: name, N: 1, Croft: self(t)}); err != nil {
		t.Fatal(err)
	}
	precious := t.TempDir()
	if err := os.WriteFile(filepath.Join(precious, "file"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "nodes", "uni-a-1", "rootfs")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(precious, at, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(at, syscall.MNT_DETACH)
	if err := Down(t.Context(), dir, DownOptions{}); !errors.Is(err, ErrMounted) || !strings.Contains(fmt.Sprint(err), at) {
		t.Errorf("down: %v", err)
	}
	if err := syscall.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir, DownOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(precious, "file")); err != nil {
		t.Error(err)
	}
	nothingLeft(t, name, dir)
}
