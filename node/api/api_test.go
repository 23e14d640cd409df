// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/routes.txt anew")

// TestRoutesAreDescribed holds the OpenAPI documents of both doors against the
// list of routes that people rely on, and every route against the mux.
func TestRoutesAreDescribed(t *testing.T) {
	var list strings.Builder
	for _, door := range []struct {
		name string
		mux  http.Handler
	}{{"local", Local(new(fake).node(), "1")}, {"remote", Remote(new(fake).node(), "1")}, {"door", Door(fakeShim{new(fake)}, "1")}} {
		s := serve(t, door.mux, "alice")
		resp, err := http.Get(s.URL + "/v1/openapi.json")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var doc struct {
			OpenAPI string
			Paths   map[string]map[string]struct {
				Summary, OperationID string
				Responses            map[string]any
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.") {
			t.Fatalf("%s: OpenAPI %q, %v", door.name, doc.OpenAPI, err)
		}
		var lines []string
		ids := map[string]bool{}
		for path, methods := range doc.Paths {
			for method, op := range methods {
				lines = append(lines, fmt.Sprintf("%-6s %-6s %-30s %s", door.name, strings.ToUpper(method), path, op.Summary))
				if op.Summary == "" || len(op.Responses) == 0 || ids[op.OperationID] {
					t.Errorf("%s %s is not described: %+v", method, path, op)
				}
				ids[op.OperationID] = true
				req, err := http.NewRequest(strings.ToUpper(method), s.URL+strings.NewReplacer("{", "", "}", "").Replace(path), nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode == http.StatusMethodNotAllowed || strings.HasPrefix(string(body), "404 page") {
					t.Errorf("%s %s is described and not served", method, path)
				}
			}
		}
		slices.Sort(lines)
		list.WriteString(strings.Join(lines, "\n") + "\n")
	}
	const golden = "testdata/routes.txt"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != list.String() {
		t.Errorf("the routes are now\n%s%v", list.String(), err)
	}
}

func TestBadCallsAreProblems(t *testing.T) {
	digest := lease.Digest(sha256.Sum256([]byte("x"))).String()
	zero := lease.ID{}.String()
	for _, c := range []struct {
		door, method, path, body string
		head                     map[string]string
		status                   int
	}{
		{"remote", "POST", "/v1/holds", "{", nil, 400},
		{"remote", "POST", "/v1/holds", `{"chain":[]}`, nil, 422},
		{"remote", "POST", "/v1/holds", `{"chain":["AA=="],"extra":1}`, nil, 422},
		{"remote", "POST", "/v1/holds", `{"chain":"` + strings.Repeat("A", maxBody) + `"}`, nil, 413},
		{"remote", "POST", "/v1/holds/xyz/commit", "", nil, 422},
		{"remote", "POST", "/v1/holds/" + zero + "/commit", "", nil, 503},
		{"remote", "POST", "/v1/close", `{"close":"AA=="}`, nil, 503},
		{"remote", "GET", "/v1/slivers/theirs/traffic", "", nil, 404},
		{"remote", "GET", "/v1/slivers/theirs/logs", "", nil, 404},
		{"remote", "GET", "/v1/slivers/mine/logs?tail=x", "", nil, 400},
		{"remote", "GET", "/v1/slivers/mine/logs?tail=-1", "", nil, 400},
		{"remote", "GET", "/v1/slivers/mine/exec", "", nil, 400},
		{"remote", "GET", "/v1/slivers/mine/exec", "", map[string]string{HeaderExec: `{"args":[]}`}, 400},
		{"remote", "GET", "/v1/slivers/mine/exec", "", map[string]string{HeaderExec: `{"args":["a"]}`}, 426},
		{"remote", "GET", "/v1/slivers/mine/exec", "", map[string]string{HeaderExec: `{"args":["` + strings.Repeat("a", maxExec) + `"]}`}, 400},
		{"remote", "GET", "/v1/blobs/zzz", "", map[string]string{HeaderSize: "1"}, 400},
		{"remote", "GET", "/v1/blobs/" + digest, "", nil, 400},
		{"remote", "GET", "/v1/blobs/" + digest, "", map[string]string{HeaderSize: "-1"}, 400},
		{"remote", "GET", "/v1/blobs/" + digest, "", map[string]string{HeaderSize: "99999999999"}, 507},
		{"remote", "PATCH", "/v1/blobs/" + digest, "x", map[string]string{HeaderSize: "1", HeaderOffset: "2"}, 400},
		{"remote", "PATCH", "/v1/blobs/" + digest, "x", map[string]string{HeaderSize: "10", HeaderOffset: "5"}, 409},
		{"remote", "PATCH", "/v1/blobs/" + digest, "xyz", map[string]string{HeaderSize: "2", HeaderOffset: "0"}, 400},
		{"remote", "POST", "/v1/tickets", "{}", nil, 404},
		{"remote", "GET", "/v1/status", "", nil, 404},
		{"local", "POST", "/v1/holds", "{}", nil, 404},
		{"local", "POST", "/v1/tickets", "[1]", nil, 422},
		{"local", "GET", "/v1/nodes/xyz/pipe", "", nil, 400},
		{"local", "GET", "/v1/nodes/" + leasetest.Who("node").String() + "/pipe", "", nil, 426},
		{"local", "GET", "/v1/nodes/" + leasetest.Who("bob").String() + "/pipe", "", map[string]string{"Upgrade": upgradePipe}, 502},
	} {
		mux := Remote(new(fake).node(), "1")
		if c.door == "local" {
			mux = Local(new(fake).node(), "1")
		}
		s := serve(t, mux, "alice")
		req, err := http.NewRequest(c.method, s.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.head {
			req.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		var p struct {
			Status int
			Detail string
		}
		served := !strings.HasPrefix(string(body), "404 page")
		if resp.StatusCode != c.status || served && (json.Unmarshal(body, &p) != nil || p.Status != c.status || p.Detail == "") {
			t.Errorf("%s %.60s: %d %.200s, want a problem %d", c.method, c.path, resp.StatusCode, body, c.status)
		}
	}
}

func TestARefusalIsAnAnswer(t *testing.T) {
	s := serve(t, Remote(new(fake).node(), "1"), "alice")
	resp, err := http.Post(s.URL+"/v1/holds", "application/json", strings.NewReader(`{"chain":["AAEC"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a Answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	if a.Refusal == nil || a.Refusal.Code != "local:policy" || a.Refusal.Text != leasetest.Who("alice").String() || !bytes.Equal(a.Statements[0], []byte{0, 1, 2}) {
		t.Errorf("got %+v", a)
	}
}

// session opens an exec session by hand.
func session(t *testing.T, url, sliver string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /v1/slivers/%s/exec HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: {\"args\":[\"cat\"]}\r\n\r\n",
		sliver, upgradeExec, HeaderExec)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	return &readAhead{Conn: conn, r: r}
}

// frames reads all frames to the end of the session.
func frames(t *testing.T, conn net.Conn) (out []byte, kind FrameKind, last []byte) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		k, payload, err := ReadFrame(conn)
		if err != nil {
			return out, kind, last
		}
		kind, last = k, payload
		if k == FrameStdout {
			out = append(out, payload...)
		}
	}
}

func TestAnExecSession(t *testing.T) {
	f := &fake{}
	s := serve(t, Remote(f.node(), "1"), "alice")
	conn := session(t, s.URL, "mine")
	input := bytes.Repeat([]byte("0123456789"), 3000)
	for _, frame := range []struct {
		kind FrameKind
		b    []byte
	}{{FrameResize, []byte{0, 80, 0, 24}}, {FrameResize, []byte{1}}, {FrameStdin, input}, {FrameExit, nil}, {FrameStdin, nil}, {FrameStdin, []byte("late")}} {
		if err := WriteFrame(conn, frame.kind, frame.b); err != nil {
			t.Fatal(err)
		}
	}
	out, kind, last := frames(t, conn)
	if kind != FrameExit || !bytes.Equal(last, []byte{0, 0, 0, 42}) || !bytes.Equal(out, bytes.Repeat(input, 3)) {
		t.Errorf("%d bytes of output, then %d %x", len(out), kind, last)
	}
}

func TestAnExecSessionOfAnotherIsNoSliver(t *testing.T) {
	s := serve(t, Remote(new(fake).node(), "1"), "bob")
	_, kind, last := frames(t, session(t, s.URL, "mine"))
	var p struct{ Status int }
	if kind != FrameError || json.Unmarshal(last, &p) != nil || p.Status != 404 {
		t.Errorf("got %d %s", kind, last)
	}
}

func TestGarbageEndsAnExecSession(t *testing.T) {
	f := &fake{wait: make(chan struct{})}
	s := serve(t, Remote(f.node(), "1"), "alice")
	conn := session(t, s.URL, "mine")
	if _, err := conn.Write([]byte("\xff\xff\xff\xff\xff GET / HTTP/1.1")); err != nil {
		t.Fatal(err)
	}
	frames(t, conn) // ends because the command does, with its caller
}

func TestAPipeCarriesBytesBothWays(t *testing.T) {
	s := serve(t, Local(new(fake).node(), "1"), "alice")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/nodes/%s/pipe HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\nearly", leasetest.Who("node"), upgradePipe)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte(" late")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 10)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "early late" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzReadFrame(f *testing.F) {
	var good bytes.Buffer
	_ = WriteFrame(&good, FrameStdout, []byte("hello"))
	f.Add(good.Bytes())
	f.Add([]byte{0, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			kind, payload, err := ReadFrame(r)
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrFrame) {
					t.Errorf("%v", err)
				}
				return
			}
			var back bytes.Buffer
			if err := WriteFrame(&back, kind, payload); err != nil || !bytes.Contains(b, back.Bytes()) {
				t.Errorf("%d of %d bytes does not go back, %v", kind, len(payload), err)
			}
		}
	})
}
