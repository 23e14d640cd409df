// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary stand in for croft, and for a process that
// brings a lab up and dies.
func TestMain(m *testing.M) {
	args := os.Args[1:]
	switch {
	case len(args) > 2 && args[0] == "lab" && args[1] == "relay":
		os.Exit(RelayMain(args[2:]))
	case len(args) == 5 && args[0] == "up":
		os.Exit(fakeDaemon(args[2], args[4]))
	case len(args) == 4 && args[0] == "die":
		dieAt(args[1], args[2], args[3])
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// fakeDaemon answers /v1/status as a real one would. A node that has the label
// broken=yes exits instead.
func fakeDaemon(state, file string) int {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fail(err)
	}
	var c config
	if err := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields().Decode(&c); err != nil {
		return fail(err)
	}
	if c.Labels["broken"] == "yes" {
		return fail(errors.New("broken as asked"))
	}
	run := filepath.Join(state, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return fail(err)
	}
	socket := filepath.Join(run, "croft.sock")
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fail(err)
	}
	fmt.Println("joining", c.Join)
	answer := map[string]any{"node": "fake-" + c.Name, "addrs": []string{
		"/ip4/127.0.0.1/tcp/4001/p2p/12D3KooFake", c.Listen[0] + "/p2p/12D3KooFake"}}
	http.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(answer)
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go http.Serve(listener, nil)
	<-ctx.Done()
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "fake daemon:", err)
	return 1
}

// dieAt brings a lab up and kills itself at a step of it.
func dieAt(dir, name, step string) {
	_, err := Up(context.Background(), Config{Dir: dir, Name: name, N: 3, Croft: os.Args[0],
		Progress: func(s string) {
			if s == step {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}})
	fmt.Fprintln(os.Stderr, "outlived", step, err)
}

// needRoot skips a test that needs root, unless the environment insists on it.
func needRoot(t *testing.T) {
	t.Helper()
	insist := os.Getenv("CROFT_REQUIRE_ROOT") == "1"
	missing := ""
	if os.Geteuid() != 0 {
		missing = "root"
	} else if fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0); err != nil {
		missing = "/dev/net/tun: " + err.Error()
	} else {
		unix.Close(fd)
	}
	if missing != "" && insist {
		t.Fatal("CROFT_REQUIRE_ROOT=1, but this test lacks ", missing)
	}
	if missing != "" {
		t.Skip("needs ", missing)
	}
}

// nothingLeft fails the test if anything of the lab is still there.
func nothingLeft(t *testing.T, name, dir string) {
	t.Helper()
	namespaces, err := netnsOf(name)
	if err != nil || len(namespaces) > 0 {
		t.Errorf("namespaces left: %v (%v)", namespaces, err)
	}
	// Told by their arguments, which is not how the code under test tells them.
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		args, err := os.ReadFile(line)
		if err == nil && bytes.Contains(args, []byte(dir+"/")) {
			t.Errorf("left is %s: %q", line, args)
		}
	}
	if entries, err := os.ReadDir(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("files left: %v (%v)", entries, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), prefix+name+"-") {
		t.Errorf("a mount is left (%v)", err)
	}
}
