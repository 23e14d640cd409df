// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"croft/sim/lab"
)

// TestRootWhoByThreeOthers: five nodes of three sites. The destination cannot reach
// the page of the node that it asks, and is told the name all the same: three other
// pages see it. When it reaches two sites alone, it is not.
func TestRootWhoByThreeOthers(t *testing.T) {
	needLab(t)
	l, croft := bringUp(t, lab.Config{N: 5})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	target, way := status.Nodes[1], status.Nodes[0]
	home := t.TempDir()
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), croft, args...)
		cmd.Env = append(os.Environ(), "CROFT_SOCKET="+way.Socket, "CROFT_HOME="+home)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	outside := func(args ...string) (string, error) {
		var out bytes.Buffer
		code, err := l.Exec(t.Context(), "outside", args, lab.IO{Out: &out, Err: &out})
		if err == nil && code != 0 {
			err = fmt.Errorf("status %d", code)
		}
		return out.String(), err
	}
	poll(t, time.Minute, often, "five nodes", func() bool {
		out, err := run("find")
		return err == nil && strings.Count(out, "/n") == 5
	})
	// Whoever answers has to have seen the others at their pages.
	poll(t, 2*time.Minute, 3*time.Second, "all five may attest, as each of them sees it", func() bool {
		for _, n := range status.Nodes {
			list, err := outside("busybox", "wget", "-q", "-O", "-", "http://"+n.Address.String()+":4080/seen/nodes")
			if err != nil || strings.Count(list, "http://") != 5 {
				return false
			}
		}
		return true
	})

	heard := make(chan string, 1)
	go func() {
		out, _ := outside("timeout", "60", "busybox", "nc", "-l", "-p", "9002", "-e", "/bin/sh", "-c", "busybox netstat -tn >&2")
		heard <- out
	}()
	if out, err := run("run", "--name", "sender", "--where", "name="+target.Name, "/bin/busybox", "--", "sh", "-c",
		"until echo x | busybox nc -w 5 "+status.Outside.String()+" 9002; do busybox usleep 100000; done; exec busybox sleep 600"); err != nil {
		t.Fatal(out, err)
	}
	saw := <-heard
	line := regexp.MustCompile(`:9002\s+(?:::ffff:)?(` + regexp.QuoteMeta(target.Address.String()) + `:[0-9]+)`).FindStringSubmatch(saw)
	if line == nil {
		t.Fatalf("the destination saw no packet of %s:\n%s", target.Name, saw)
	}
	src := line[1]
	who := func() (string, error) {
		return outside(croft, "--socket", way.Socket, "--home", home+"/stranger", "audit", "who", src, status.Outside.String()+":9002", "--within", "1m", "--node", target.Name)
	}
	block := func(verb string, n int) {
		t.Helper()
		if out, err := outside("ip", "route", verb, "prohibit", status.Nodes[n].Address.String()); err != nil {
			t.Fatal(out, err)
		}
	}
	block("add", 1)
	out, err := who()
	if err != nil || !strings.Contains(out, "not shown to "+target.Name) || !strings.Contains(out, "  sender@") {
		t.Errorf("seen by three others: %v\n%s", err, out)
	}
	for i, n := range status.Nodes { // the third site's only node
		if strings.HasPrefix(n.Name, "lab-c/") {
			block("add", i)
		}
	}
	out, err = who()
	if err != nil || strings.Contains(out, "sender@") || !strings.Contains(out, "not named: 1") || !strings.Contains(out, "2 could be had, and 3 are needed") {
		t.Errorf("seen by two others: %v\n%s", err, out)
	}
	if out, err := run("stop", "sender"); err != nil {
		t.Error(out, err)
	}
}
