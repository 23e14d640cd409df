// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/role"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/swarm"
	"croft/sandbox/swarm/stream"
)

// swarmModel is a swarm that only asks who has what: what it is told, and when.
type swarmModel struct {
	mu    sync.Mutex
	named []lease.Principal
	times []time.Duration
	wants []stream.Want
	known []lease.Principal
	fails error
	holds chan struct{} // if set, a fetch goes on until it is closed
}

func (s *swarmModel) Known(lease.Digest) []lease.Principal { return s.known }

func (s *swarmModel) Fetch(ctx context.Context, w stream.Want, progress func(have, of, from int)) error {
	began := time.Now()
	s.mu.Lock()
	s.wants = append(s.wants, w)
	s.mu.Unlock()
	w.More(ctx, func(nodes []lease.Principal) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range nodes {
			if !slices.Contains(s.named, n) {
				s.named, s.times = append(s.named, n), append(s.times, time.Since(began))
			}
		}
	})
	progress(1, 2, 1)
	if s.holds != nil {
		select {
		case <-s.holds:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.fails
}

// inImages runs f on a node with a swarm, where alice has a sliver.
func inImages(t *testing.T, f func(t *testing.T, h *hired, s *swarmModel)) {
	t.Helper()
	inBubble(t, func(t *testing.T, m *world) {
		s := &swarmModel{known: []lease.Principal{leasetest.Who("c")}}
		m.hosts = func(_ *life, h *Hosting) { h.Swarm = s }
		f(t, hire(t, m), s)
	})
}

func (h *hired) fetch(digest lease.Digest, among ...string) (api.Blob, error) {
	req := api.FetchRequest{Size: swarm.MinPiece + 1}
	for _, n := range among {
		req.Among = append(req.Among, leasetest.Who(n))
	}
	return h.d.Node().Blobs.Fetch(h.t.Context(), newPerson(h.t, "alice").caller(), digest, req)
}

func names(list []lease.Principal) (out []string) {
	for _, p := range list {
		name := p.Short()
		for _, n := range []string{"node", "a", "b", "c", "d"} {
			if leasetest.Who(n) == p {
				name = n
			}
		}
		out = append(out, name)
	}
	return out
}

func (h *hired) imagesDo(do, tenant string) {
	h.t.Helper()
	if _, err := h.d.Node().Roles.Decide(h.t.Context(), "images", api.RoleWish{Do: do, Tenant: tenant}); err != nil {
		h.t.Fatalf("%s %s: %v", do, tenant, err)
	}
}

// A slice says who has an image, and the nodes that were named with the wish are asked
// whatever it says.
func TestASliceSaysWhoHasAnImage(t *testing.T) {
	inImages(t, func(t *testing.T, h *hired, s *swarmModel) {
		svc := serveAs(t, h.m.doors.dial(t, h.sliver), "images/1", func(role.Question) []string {
			return []string{`{"id":%d,"part":{"nodes":["` + leasetest.Who("d").String() + `","` + leasetest.Who("b").String() + `"]}}`, `{"id":%d,"done":{}}`}
		})
		h.imagesDo("try", h.slice)
		h.imagesDo("promote", h.slice)
		if b, err := h.fetch(lease.Digest{1}, "a", "node", "b"); err != nil || b.Fetch == nil || b.Fetch.Over {
			t.Fatalf("%+v, %v", b, err)
		}
		synctest.Wait()
		if got := names(s.named); fmt.Sprint(got) != "[d b a]" {
			t.Errorf("asked in turn: %v", got)
		}
		var q struct{ Ask imagesAsk }
		if err := json.Unmarshal([]byte(svc.seen[0]), &q); err != nil || fmt.Sprint(names(q.Ask.Among), names(q.Ask.Known)) != "[a b] [c]" || q.Ask.Size != swarm.MinPiece+1 {
			t.Errorf("it was asked %s, %v", svc.seen[0], err)
		}
		if b, err := h.d.Node().Blobs.Blob(t.Context(), newPerson(t, "alice").caller(), lease.Digest{1}, swarm.MinPiece+1, false); err != nil || b.Fetch == nil || !b.Fetch.Over || b.Fetch.Error != "" || b.Fetch.Bytes != swarm.MinPiece+1 {
			t.Errorf("after it: %+v %+v, %v", b, b.Fetch, err)
		}
	})
}

// Whatever a tenant does costs time alone: the nodes that were named are asked half a
// second later at the most, and the next in line as well.
func TestHostileTenantsOfImages(t *testing.T) {
	many := make([]string, swarm.MaxNamed+1)
	for i := range many {
		many[i] = leasetest.Who(fmt.Sprint(i)).String()
	}
	part := func(nodes ...string) string {
		b, _ := json.Marshal(nodes)
		return `{"id":%d,"part":{"nodes":` + string(b) + `}}`
	}
	done := `{"id":%d,"done":{}}`
	for name, c := range map[string]struct {
		lines []string
		takes time.Duration
	}{
		"hangs":                {nil, imagesPatience},
		"vanishes":             {[]string{part(leasetest.Who("d").String()), "hang up"}, 0},
		"names no node":        {[]string{part("7777777777777777777777777777777777777777777777777777"), done}, 0},
		"names garbage":        {[]string{part("zzz"), done}, 0},
		"names too many":       {[]string{part(many...), done}, 0},
		"other fields":         {[]string{`{"id":%d,"part":{"offers":[]}}`, done}, 0},
		"an end that is none":  {[]string{`{"id":%d,"done":{"nodes":[]}}`}, 0},
		"has no end":           {slices.Repeat([]string{`{"id":%d,"part":{` + strings.Repeat(" ", role.MaxLine-100) + `}}`}, 3), 0},
		"floods":               {slices.Repeat([]string{`{"id":%d,"part":{}}`}, role.MaxParts+1), 0},
		"gives up":             {[]string{`{"id":%d,"error":{"code":"x","text":"y"}}`}, 0},
		"answers what is none": {[]string{`{"id":99,"done":{}}`}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inImages(t, func(t *testing.T, h *hired, s *swarmModel) {
				serveAs(t, h.m.doors.dial(t, h.sliver), "images/1", func(role.Question) []string { return c.lines })
				h.imagesDo("try", h.slice)
				h.imagesDo("promote", h.slice)
				if _, err := h.fetch(lease.Digest{1}, "a", "b"); err != nil {
					t.Fatal(err)
				}
				h.m.pass(5 * time.Second)
				s.mu.Lock()
				defer s.mu.Unlock()
				if got := names(s.named); !slices.Contains(got, "a") || !slices.Contains(got, "b") || slices.Contains(got, "d") {
					t.Errorf("asked %v", got)
				}
				for i, n := range s.named {
					if n == leasetest.Who("a") && s.times[i] > c.takes {
						t.Errorf("a is asked after %s", s.times[i])
					}
				}
			})
		})
	}
}

// Fetches are few, refused to strangers, and end with an error that says what is wrong.
func TestFetchesAreBounded(t *testing.T) {
	inImages(t, func(t *testing.T, h *hired, s *swarmModel) {
		s.holds = make(chan struct{})
		blobs := h.d.Node().Blobs
		alice := newPerson(t, "alice").caller()
		if _, err := blobs.Fetch(t.Context(), newPerson(t, "eve").caller(), lease.Digest{1}, api.FetchRequest{Size: 1}); !errors.Is(err, api.ErrNoLease) {
			t.Errorf("a stranger: %v", err)
		}
		for _, req := range []api.FetchRequest{{}, {Size: -1}, {Size: image.MaxBlob + 1}, {Size: 1 << 62, Sums: []byte{0}}, {Size: 1, Sums: []byte{1}}, {Size: 1, Among: make([]lease.Principal, swarm.MaxNamed+1)}} {
			if _, err := blobs.Fetch(t.Context(), alice, lease.Digest{1}, req); !errors.Is(err, api.ErrBadRequest) {
				t.Errorf("%+v: %v", req.Size, err)
			}
		}
		if _, err := h.fetch(lease.Digest{'p'}); !errors.Is(err, api.ErrNoFetch) || len(s.wants) != 0 {
			t.Errorf("a private image: %v", err)
		}
		for i := range maxFetchesEach {
			for range 2 { // again does nothing
				if _, err := h.fetch(lease.Digest{byte(i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := h.fetch(lease.Digest{99}); !errors.Is(err, api.ErrBusy) {
			t.Errorf("one more for her: %v", err)
		}
		if _, err := blobs.Fetch(t.Context(), alice, lease.Digest{1}, api.FetchRequest{Size: 1, Sums: make([]byte, 32)}); !errors.Is(err, api.ErrBusy) {
			t.Errorf("with other sums: %v", err)
		}
		for i := maxFetchesEach; i < stream.MaxFetches; i++ {
			if _, err := h.d.fetches.begin(leasetest.Who(fmt.Sprint(i)), lease.Digest{byte(i)}, api.FetchRequest{Size: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.d.fetches.begin(leasetest.Who("x"), lease.Digest{98}, api.FetchRequest{Size: 1}); !errors.Is(err, api.ErrBusy) {
			t.Errorf("one more: %v", err)
		}
		s.fails = fmt.Errorf("putting: %w", sandbox.ErrNoSpace)
		close(s.holds)
		synctest.Wait()
		if len(s.wants) != stream.MaxFetches {
			t.Errorf("%d fetches", len(s.wants))
		}
		b, err := blobs.Blob(t.Context(), alice, lease.Digest{1}, swarm.MinPiece+1, false)
		if err != nil || !b.Fetch.Over || !strings.Contains(b.Fetch.Error, "no room on the node") {
			t.Errorf("%+v, %v", b.Fetch, err)
		}
		for i := range 2 * maxFetched {
			if _, err := h.fetch(lease.Digest{1, byte(i)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if n := len(h.d.fetches.by); n > maxFetched {
			t.Errorf("%d are remembered", n)
		}
		h.d.deps.Hosting.Swarm = nil
		if _, err := h.fetch(lease.Digest{1}); !errors.Is(err, api.ErrNoFetch) {
			t.Errorf("without a swarm: %v", err)
		}
	})
}

// A fetch ends when nobody who asked for it leases here any more.
func TestAFetchIsForSomebody(t *testing.T) {
	inImages(t, func(t *testing.T, h *hired, s *swarmModel) {
		s.holds = make(chan struct{})
		if _, err := h.fetch(lease.Digest{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.d.fetches.begin(leasetest.Who("gone"), lease.Digest{2}, api.FetchRequest{Size: 1}); err != nil {
			t.Fatal(err)
		}
		h.m.pass(attendEvery + time.Second)
		if f := h.d.fetches.state(lease.Digest{1}); f.Over {
			t.Errorf("alice's: %+v", f)
		}
		if f := h.d.fetches.state(lease.Digest{2}); !f.Over || f.Error != errUnwanted.Error() {
			t.Errorf("nobody's: %+v", f)
		}
		h.m.pass(fetchWithin(swarm.MinPiece + 1))
		if f := h.d.fetches.state(lease.Digest{1}); !f.Over {
			t.Errorf("after all its time: %+v", f)
		}
	})
}

// imagesSuite is what any tenant of images is held against, for other implementations
// too.
type imagesSuite struct {
	About string
	Cases []struct {
		Name  string
		Ask   json.RawMessage
		Names []lease.Principal
		Error bool
	}
	Refuted []struct {
		Parts []string
		Done  string
	}
}

func readImagesSuite(t *testing.T) (s imagesSuite) {
	t.Helper()
	raw, err := os.ReadFile("testdata/conformance/images.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := exact(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// What the suite says that no node takes, this one does not.
func TestAnswersOnImagesAreRefuted(t *testing.T) {
	for _, c := range readImagesSuite(t).Refuted {
		r := &imagesReading{}
		var err error
		for _, p := range c.Parts {
			err = errors.Join(err, r.part([]byte(p)))
		}
		if err == nil {
			_, err = r.end([]byte(c.Done))
		}
		if !errors.Is(err, errLie) {
			t.Errorf("%q %q: %v", c.Parts, c.Done, err)
		}
	}
}

// The conversation of docs/roles/images.md is one that happens.
func TestTheExampleOfImages(t *testing.T) {
	page, err := os.ReadFile("../../docs/roles/images.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "## Example\n")
	var lines []string
	for l := range strings.Lines(text) {
		if l, is := strings.CutPrefix(l, "    "); is {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	if !ok || len(lines) != 5 {
		t.Fatalf("%q", lines)
	}
	inImages(t, func(t *testing.T, h *hired, s *swarmModel) {
		svc := serveAs(t, h.m.doors.dial(t, h.sliver), "images/1", func(role.Question) []string {
			return []string{lines[3], lines[4]}
		})
		h.imagesDo("try", h.slice)
		h.imagesDo("promote", h.slice)
		digest, err := lease.ParseDigest("sha256:" + strings.Repeat("07", 32))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.d.Node().Blobs.Fetch(t.Context(), newPerson(t, "alice").caller(), digest, api.FetchRequest{Size: 5_000_000, Among: []lease.Principal{leasetest.Who("b")}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := strings.TrimSpace(svc.seen[0]); got != lines[2] {
			t.Errorf("asked %s\nthe page %s", got, lines[2])
		}
		if got := names(s.named); fmt.Sprint(got) != "[c b]" {
			t.Errorf("asked in turn: %v", got)
		}
	})
	if greeting := lines[0]; greeting != `{"serve":"images/1"}` {
		t.Error(greeting)
	}
}

// Whatever a tenant sends, what is asked are nodes, and few.
func FuzzHolders(f *testing.F) {
	f.Add([]byte(`{"nodes":["`+leasetest.Who("a").String()+`"]}`), []byte(`{}`))
	f.Add([]byte(`{"nodes":["zzz"]}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, part, end []byte) {
		r := &imagesReading{}
		if r.part(part) != nil {
			return
		}
		if _, err := r.end(end); err != nil {
			return
		}
		if len(r.nodes) > swarm.MaxNamed || slices.ContainsFunc(r.nodes, func(p lease.Principal) bool { return p.Check() != nil }) {
			t.Errorf("%v", r.nodes)
		}
	})
}

// A tenant that names as many strangers as a fetch considers keeps out nobody who was
// named with the wish, and its order of those stays.
func TestNobodyIsLeftOutByATenant(t *testing.T) {
	strangers := make([]lease.Principal, swarm.MaxNamed)
	for i := range strangers {
		strangers[i] = leasetest.Who(fmt.Sprint("stranger", i))
	}
	among := []lease.Principal{leasetest.Who("a"), leasetest.Who("b"), leasetest.Who("c")}
	got := mixed(append(slices.Clone(strangers), among[2]), among)
	if len(got) > swarm.MaxNamed || fmt.Sprint(names(got[1:6:6])) != fmt.Sprint([]string{"c", names(got[2:3])[0], "a", names(got[4:5])[0], "b"}) {
		t.Errorf("%d, the first %v", len(got), names(got[:8]))
	}
	if got := names(mixed(among[1:], among)); fmt.Sprint(got) != "[b c a]" {
		t.Errorf("%v", got)
	}
}
