// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/client"
	"croft/sandbox"
)

var update = flag.Bool("update", false, "write what commands print into the scripts' golden files")

// TestMain lets scripts run this test binary as croft.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"croft": main, "hear": hear, "insist": insist, "makeproof": makeproof, "makeanswer": makeanswer, "rewrite": rewrite})
}

// TestScripts plays what needs neither root nor a daemon.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireUniqueNames: true, RequireExplicitExec: true,
		Setup: clean, Cmds: commands(),
	})
}

// clean gives a script a home of its own and none of the tester's settings.
func clean(e *testscript.Env) error {
	e.Setenv("HOME", e.WorkDir+"/home")
	e.Setenv("CROFT_HOME", e.WorkDir+"/home")
	e.Setenv("CROFT_SOCKET", e.WorkDir+"/no.sock")
	for _, name := range []string{"CROFT_KEY", "CROFT_LAB_DIR", "XDG_CONFIG_HOME"} {
		e.Setenv(name, "")
	}
	e.Setenv("TZ", "UTC")
	now := time.Now().Unix() - leasetest.Epoch
	e.Setenv("NOW", fmt.Sprintf("%ds..%ds", now-60, now+86_400))
	e.Setenv("PAST", fmt.Sprintf("%ds..%ds", now-600, now-300))
	return os.MkdirAll(e.WorkDir+"/home", 0o700)
}

// commands are what scripts can say beside testscript's own words.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits":      exits,
		"jsonlines":  jsonlines,
		"eventually": eventually,
		"shows":      shows,
		"interrupts": interrupts,
		"daemon":     signalDaemon,
		"envsubst":   substitute,
		"keep":       keep,
		"drawn":      drawn,
		"keyof":      keyOf,
	}
}

// exits: "exits 6 croft run …" runs a command that must exit with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if status, ok := err.(interface{ ExitCode() int }); ok {
		got = strconv.Itoa(status.ExitCode())
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// jsonlines: "jsonlines FILE N name…" wants N lines ("+": one or more) in FILE
// (or stdout, stderr), each one JSON object that has every one of the names, and
// no name at any depth that begins with a capital.
func jsonlines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: jsonlines FILE N name…")
	}
	text := strings.TrimSuffix(ts.ReadFile(args[0]), "\n")
	var lines []string
	if text != "" {
		lines = strings.Split(text, "\n")
	}
	if n := strconv.Itoa(len(lines)); n != args[1] && (args[1] != "+" || n == "0") {
		ts.Fatalf("%s lines of JSON, want %s:\n%s", n, args[1], text)
	}
	for _, line := range lines {
		var object map[string]json.RawMessage
		dec := json.NewDecoder(bytes.NewReader([]byte(line)))
		if err := dec.Decode(&object); err != nil || dec.More() {
			ts.Fatalf("%q is not one JSON object: %v", line, err)
		}
		for _, name := range args[2:] {
			if _, ok := object[name]; !ok {
				ts.Fatalf("no %q in %s", name, line)
			}
		}
		if name := capital([]byte(line)); name != "" {
			ts.Fatalf("%q is a name of Go's in %s", name, line)
		}
	}
}

// capital returns the first name in a JSON value, at any depth, that begins with a
// capital; none should.
func capital(b []byte) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(b, &object) == nil {
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if name != "" && 'A' <= name[0] && name[0] <= 'Z' {
				return name
			}
			if within := capital(object[name]); within != "" {
				return within
			}
		}
	}
	var list []json.RawMessage
	if json.Unmarshal(b, &list) == nil {
		for _, v := range list {
			if within := capital(v); within != "" {
				return within
			}
		}
	}
	return ""
}

func TestCapital(t *testing.T) {
	for text, want := range map[string]string{`{"a":[{"b":{"C":1}}]}`: "C", `{"a":"B","c":["D"],"e":null}`: "", `[[{"Go":1}]]`: "Go", `7`: ""} {
		if got := capital([]byte(text)); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// patience is how long a script waits for what is on its way.
const patience = 30 * time.Second

// eventually: "eventually COMMAND…" runs a command until it exits with 0.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: eventually COMMAND…")
	}
	over := time.After(patience)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		select {
		case <-over:
			ts.Fatalf("not within %s: %v", patience, err)
		case <-tick.C:
		}
	}
}

// shows: "shows PATTERN COMMAND…" runs a command until it exits with 0 and prints
// what matches.
func shows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: shows PATTERN COMMAND…")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	over := time.After(patience)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout")
		if err == nil && want.MatchString(out) {
			return
		}
		select {
		case <-over:
			ts.Fatalf("not within %s: %v\n%s", patience, err, out)
		case <-tick.C:
		}
	}
}

// keep: "keep NAME FILE" puts what a file (or stdout) holds into a variable.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keep NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// drawn: "drawn FILE DRAWING" writes the chain of a drawing's last statement.
func drawn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: drawn FILE DRAWING")
	}
	tree, err := leasetest.Parse(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text(tree.Last().Chain())), 0o600))
}

// keyOf: "keyof NAME FILE" writes the private key of a name in drawings.
func keyOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keyof NAME FILE")
	}
	b, err := leasetest.Key(args[0]).Marshal(args[0], nil)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o600))
}

// hear listens at an address and prints from where the first caller came.
func hear() {
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer l.Close()
	c, err := l.Accept()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer c.Close()
	fmt.Println(c.RemoteAddr())
}

// insist shows a node an old grant with the record that came with it, as one
// would who had a client of his own: insist SOCKET KEY NODE GRANT SLICE.
func insist() {
	err := func() error {
		text, err := os.ReadFile(os.Args[2])
		if err != nil {
			return err
		}
		key, err := sign.Parse(text, nil)
		if err != nil {
			return err
		}
		way := client.New(os.Args[1])
		found, err := way.Find(context.Background(), offer.FindRequest{Query: "name=" + os.Args[3], View: true})
		if err != nil || len(found.Offers) != 1 {
			return fmt.Errorf("%d nodes, %w", len(found.Offers), err)
		}
		g, err := readGrant(os.Args[4])
		if err != nil {
			return err
		}
		node := way.Node(found.Offers[0].Offer.Node, key).Under(g.Bytes())
		defer node.Close()
		list, err := node.Slivers(context.Background())
		if err != nil {
			return err
		}
		for _, s := range list {
			status, err := node.Exec(context.Background(), s.Sliver, sandbox.Exec{Args: []string{"/bin/busybox", "echo", "in"}}, sandbox.IO{Out: os.Stdout})
			if err != nil || status != 0 {
				return fmt.Errorf("status %d, %w", status, err)
			}
		}
		fmt.Println("slivers:", len(list))
		return nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// substitute: "envsubst FILE" puts variables into a file of the script.
func substitute(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: envsubst FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
