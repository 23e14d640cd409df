// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/node/journal"
)

func TestKeyAndJournalLiveAndDieTogether(t *testing.T) {
	state := t.TempDir()
	key, err := NodeKey(state)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := NodeKey(state); err != nil || again.Principal() != key.Principal() {
		t.Fatalf("another key the second time, %v", err)
	}
	j, _, err := openJournal(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte("signed")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openJournal(state); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("a second daemon on this state: %v", err)
	}
	if err := Wipe(t.Context(), state); !errors.Is(err, ErrRunning) {
		t.Errorf("wiping under a daemon: %v", err)
	}
	j.Close()
	if err := os.Rename(keyPath(state), keyPath(state)+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := NodeKey(state); !errors.Is(err, ErrKeyLost) {
		t.Errorf("a new key for an old journal: %v", err)
	}
	if err := os.Rename(keyPath(state)+".away", keyPath(state)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(journalDir(state)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openJournal(state); !errors.Is(err, ErrJournalLost) {
		t.Errorf("an old key without its journal: %v", err)
	}
	if err := os.WriteFile(keyPath(state), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NodeKey(state); err == nil || !strings.Contains(err.Error(), keyPath(state)) {
		t.Errorf("a damaged key: %v", err)
	}
}

func TestACrashWhileTheKeyIsMadeIsMadeGood(t *testing.T) {
	state := t.TempDir()
	j, _, err := journal.Open(journalDir(state), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	if _, err := NodeKey(state); err != nil { // the empty journal of the first try
		t.Error(err)
	}
}

func TestTheSocketIsTakenFromTheDeadOnly(t *testing.T) {
	path := Socket(t.TempDir())
	first, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if _, err := listenUnix(path); !errors.Is(err, ErrSocket) || !strings.Contains(err.Error(), "already") {
		t.Errorf("from the living: %v", err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	first.Close() // as kill -9 leaves it
	second, err := listenUnix(path)
	if err != nil {
		t.Fatalf("from the dead: %v", err)
	}
	second.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path); !errors.Is(err, ErrSocket) {
		t.Errorf("over a file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

func TestRootTheSocketOfAnotherIsLeftAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	path := Socket(t.TempDir())
	l, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path); !errors.Is(err, ErrSocket) || !strings.Contains(err.Error(), "uid 12345") {
		t.Errorf("got %v", err)
	}
}

func TestConfigurationSaysWhereItIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"listen = []\ncolour = 3\n":                       `line 2, column 1: unknown key "colour"`,
		"[capacity]\ncpus = \"4\"\n":                      "cpus",
		"[capacity]\ncpu = \"many\"\n":                    "cpu",
		"name = \n":                                       "line 1",
		"profile = \"moon\"":                              `profile "moon": want public, lan or lab`,
		"places = 0":                                      "places = 0",
		"places = 100000":                                 "places = 100000",
		"open = [\"10.0.0.0\"]":                           "open:",
		"resolver = [\"1.1.1.1\"]":                        "resolver:",
		"blob_quota = \"lots\"":                           "blob_quota",
		"audit_quota = \"-1\"":                            "audit_quota",
		"[audit]\nsegment = \"9s\"":                       `segment = "9s": want 10s to 5m0s`,
		"[audit]\nsegment = \"301s\"":                     `segment = "301s"`,
		"[audit]\nsegment = \"soon\"":                     `segment = "soon"`,
		"site_cert = \"nowhere.cert\"":                    "nowhere.cert",
		"name = \"" + strings.Repeat("x", 65):             "line 1",
		"[attributes]\nplanet = \"x\"":                    `line 2, column 1: unknown key "attributes.planet"`,
		"[roles.emperor]\nshare = \"all\"":                "[roles.emperor]",
		"[keep]\nfor = [\"bob\"]":                         "want a principal, or anybody",
		"[roles.packets]\npromote = \"after 9 requests\"": "handed over by `croft role promote` only",
		"[roles.discovery]\nshare = \"none\"":             `share = "none": want own or all`,
		"[roles.discovery]\npromote = \"soon\"":           "[roles.discovery] promote",
		"[roles.discovery]\ndemote = \"x\"":               "demote",
	} {
		_, err := ParseConfig(DefaultConfig(), []byte(text), t.TempDir())
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadConfig(DefaultConfig(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrConfig) {
		t.Errorf("no file: %v", err)
	}
	cfg, err := ParseConfig(DefaultConfig(), []byte("name = \"n\"\nblob_quota = \"1GiB\"\nopen = [\"10.0.0.0/8\"]\n[audit]\nsegment = \"20s\"\n[capacity]\ncpu = \"750\"\n"), "")
	if err != nil || cfg.Name != "n" || cfg.Bounds.Blobs != 1<<30 || len(cfg.Open) != 1 || cfg.Bounds.Segment != 20*time.Second || cfg.Capacity[0] == 0 {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("name = \"n\"\n[capacity]\ncpu = \"750\"\n"))
	f.Add([]byte("[labels]\nixp = \"yes\"\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := ParseConfig(DefaultConfig(), text, dir)
		switch {
		case err != nil && !errors.Is(err, ErrConfig):
			t.Errorf("%q: %v", text, err)
		case err == nil && (cfg.Bounds.Places < 1 || cfg.Bounds.Blobs < 0 || cfg.Bounds.Audit < 0):
			t.Errorf("%q is taken: %+v", text, cfg.Bounds)
		}
	})
}
