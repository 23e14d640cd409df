// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease"
	"croft/lease/offer"
)

type testKey ed25519.PrivateKey

func (k testKey) Principal() lease.Principal {
	return lease.Principal(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
}
func (k testKey) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

func keyOf(name string) testKey {
	seed := sha256.Sum256([]byte(name))
	return testKey(ed25519.NewKeyFromSeed(seed[:]))
}

var noon = time.Unix(1_800_000_000, 0)

// world runs one transcript: a view, a clock and the offers made so far.
type world struct {
	view  *View
	now   time.Time
	blobs map[string][]byte
	names map[lease.Principal]string
}

func (w *world) key(name string) testKey {
	k := keyOf(name)
	w.names[k.Principal()] = name
	return k
}

// readable puts names where principals and digests stand.
func (w *world) readable(s string) string {
	for p, name := range w.names {
		s = strings.ReplaceAll(s, p.String(), name)
	}
	for name, b := range w.blobs {
		s = strings.ReplaceAll(s, blob(b).String(), "<"+name+">")
	}
	return s
}

func (w *world) step(t *testing.T, in Input) string {
	fetch := func(d lease.Digest) ([]byte, bool) {
		for _, b := range w.blobs {
			if blob(b) == d {
				return b, true
			}
		}
		return nil, false
	}
	again, err := ParseInput(in.String(), fetch)
	if err != nil || again.String() != in.String() {
		t.Fatalf("%s parses as %v, %v", in, again, err)
	}
	var out strings.Builder
	for _, e := range w.view.Step(w.now, again) {
		fmt.Fprintln(&out, w.readable(e.String()))
	}
	return out.String()
}

func TestViewTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/view", func(t *testing.T, path string) {
		w := &world{now: noon, blobs: map[string][]byte{}, names: map[lease.Principal]string{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return w.run(t, d) })
	})
}

// run knows: view [cap=] [sites]; offer NAME node= seq= [made=] [valid=] [site=]
// [closed] [free=]; spoil NAME of= how=; receive NAME from= [pulled]; local NAME;
// tick SECONDS; nodes; wake; flood n= from= [site=].
func (w *world) run(t *testing.T, d *datadriven.TestData) string {
	arg := func(key, otherwise string) string {
		if d.HasArg(key) {
			d.ScanArgs(t, key, &otherwise)
		}
		return otherwise
	}
	num := func(key, otherwise string) int64 {
		n, err := strconv.ParseInt(arg(key, otherwise), 10, 64)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return n
	}
	name := ""
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "view":
		cfg := ViewConfig{Cap: int(num("cap", "0"))}
		if d.HasArg("sites") { // a certificate holds when it says "good"
			cfg.Check = func(_, _ lease.Principal, c []byte) error {
				if string(c) != "good" {
					return errors.New("forged")
				}
				return nil
			}
		}
		w.view = NewView(cfg)
		return ""
	case "offer":
		w.blobs[name] = w.make(t, arg("node", name), uint64(num("seq", "1")), num("made", "0"), num("valid", "600"),
			arg("site", ""), arg("cert", "good"), d.HasArg("closed"), uint64(num("free", "100")))
		return ""
	case "spoil":
		b := append([]byte{}, w.blobs[arg("of", "")]...)
		switch how := arg("how", ""); how {
		case "signature":
			b[len(b)-1] ^= 1
		case "cut":
			b = b[:len(b)-1]
		case "huge":
			b = append(b, make([]byte, offer.MaxOffer)...)
		case "zeros":
			b = make([]byte, 100)
		}
		w.blobs[name] = b
		return ""
	case "receive":
		return w.step(t, Received{w.blobs[name], w.key(arg("from", "peer")).Principal(), d.HasArg("pulled")})
	case "local":
		return w.step(t, Local{w.blobs[name]})
	case "tick":
		s, err := strconv.Atoi(name)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		w.now = w.now.Add(time.Duration(s) * time.Second)
		return w.step(t, Tick{})
	case "flood":
		counts := map[string]int{}
		for i := range num("n", "1") {
			b := w.make(t, fmt.Sprintf("%s%d", arg("from", ""), i), 1, 0, 600, arg("site", ""), "good", false, 1)
			w.blobs["flood"] = b
			for _, line := range strings.Split(strings.TrimSpace(w.step(t,
				Received{b, w.key(arg("from", "")).Principal(), false})), "\n") {
				if words := strings.Fields(line); words[0] != "stored" {
					counts[line]++
				}
			}
		}
		var lines []string
		for l, n := range counts {
			lines = append(lines, fmt.Sprintf("%d × %s", n, l))
		}
		return sortedLines(lines)
	case "nodes":
		var lines []string
		for _, o := range w.view.Offers(w.now) {
			lines = append(lines, fmt.Sprintf("%s %d", w.names[o.Node], o.Sequence))
		}
		return sortedLines(lines)
	case "evidence":
		var lines []string
		for _, e := range w.view.Evidence() {
			lines = append(lines, w.readable(e.String()))
		}
		return sortedLines(lines)
	case "wake":
		at, ok := w.view.NextWake()
		if !ok {
			return "never\n"
		}
		return fmt.Sprintln(at.Sub(w.now))
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return ""
}

func sortedLines(lines []string) string {
	if len(lines) == 0 {
		return "none\n"
	}
	for i := range lines { // few lines: insertion
		for j := i; j > 0 && lines[j] < lines[j-1]; j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func (w *world) make(t *testing.T, node string, seq uint64, made, valid int64, site, cert string, closed bool, free uint64) []byte {
	key := w.key(node)
	o := &offer.Offer{Node: key.Principal(), Sequence: seq, Made: w.now.Unix() + made, Closed: closed}
	o.Until = o.Made + valid
	o.Total[lease.CPU] = free
	if site != "" {
		o.Site, o.Certificate = keyOf(site).Principal(), []byte(cert)
	}
	sealed, err := offer.Seal(o, key)
	if err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes
}
