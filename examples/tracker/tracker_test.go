// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestConversation has the program itself, on a socket as a node makes it, answer the
// questions of the role's suite, in the lines of docs/roles/README.md, and remember.
func TestConversation(t *testing.T) {
	raw, err := os.ReadFile("../../node/daemon/testdata/conformance/images.json")
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Cases []struct {
			Name  string
			Ask   json.RawMessage
			Names []string
			Error bool
		}
	}
	if err := json.Unmarshal(raw, &suite); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "tracker"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "node.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "tracker"))
	cmd.Env = append(os.Environ(), "CROFT_SOCKET="+filepath.Join(dir, "node.sock"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := l.(*net.UnixListener).SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	lines := bufio.NewScanner(c)
	if !lines.Scan() || lines.Text() != `{"serve":"images/1"}` {
		t.Fatalf("it begins with %q", lines.Text())
	}
	fmt.Fprintln(c, `{"ok":{"role":"images/1","node":"n","slice":"tracker@x","inflight":64,"bytes":1048576}}`)
	id := 0
	ask := func(q json.RawMessage) (nodes []string, failed bool) {
		id++
		fmt.Fprintf(c, `{"id":%d,"call":"holders","within_ms":2000,"ask":%s}`+"\n", id, q)
		for lines.Scan() {
			var r struct {
				ID    int
				Part  *struct{ Nodes []string }
				Done  *struct{}
				Error *struct{ Code string }
			}
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.ID != id {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			switch {
			case r.Part != nil:
				nodes = append(nodes, r.Part.Nodes...)
			case r.Error != nil:
				return nodes, true
			case r.Done != nil:
				return nodes, false
			}
		}
		t.Fatalf("it hung up: %v", lines.Err())
		return nil, false
	}
	for _, q := range suite.Cases {
		nodes, failed := ask(q.Ask)
		if failed != q.Error {
			t.Errorf("%s: failed %v", q.Name, failed)
		}
		for _, n := range q.Names {
			if !slices.Contains(nodes, n) {
				t.Errorf("%s: it does not name %s", q.Name, n)
			}
		}
	}
	// Of an earlier deployment it knows, where nobody else does.
	if nodes, _ := ask(json.RawMessage(`{"digest":"sha256:0707070707070707070707070707070707070707070707070707070707070707","size":5000000}`)); len(nodes) != 2 {
		t.Errorf("it remembers %v", nodes)
	}
}

// What it remembers is bounded.
func TestTheTrackerForgets(t *testing.T) {
	tr := &tracker{images: map[string]map[string]time.Time{}}
	now := time.Now()
	for i := range maxImages + 10 {
		tr.holders(question{Digest: fmt.Sprint(i), Among: []string{"a"}}, now.Add(time.Duration(i)*time.Second))
	}
	if len(tr.images) != maxImages || tr.images["0"] != nil || tr.images[fmt.Sprint(maxImages)] == nil {
		t.Errorf("%d images", len(tr.images))
	}
	for i := range 2 * maxNodes {
		tr.holders(question{Digest: "x", Among: []string{fmt.Sprint(i)}}, now)
	}
	if got := tr.holders(question{Digest: "x"}, now); len(got) != maxNodes || len(tr.images["x"]) != maxNodes {
		t.Errorf("%d nodes named, %d remembered", len(got), len(tr.images["x"]))
	}
	if got := tr.holders(question{Digest: "x"}, now.Add(fresh)); len(got) != 0 {
		t.Errorf("after an hour: %v", got)
	}
}
