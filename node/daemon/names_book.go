// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/pelletier/go-toml/v2"

	"croft/lease"
)

// namesBook is what the node's owner calls others, in files that he writes. Answers of
// the role names are held against it, whoever fills that.
type namesBook struct {
	dir string
	log *slog.Logger

	mu    sync.Mutex
	stamp string // of the files as they were read
	page  *namesPage
}

// namesPage is the book as it was at one moment; it does not change.
type namesPage struct {
	names  map[petname]lookupDone
	people map[lease.Principal]petname // the first of each by the alphabet
	grants []lease.Authority
}

func (p *namesPage) entry(n petname) (lookupDone, bool) {
	e, ok := p.names[n]
	return e, ok
}

// now is the book as it is on disk. One that cannot be read is told of once, and the one
// before stays.
func (b *namesBook) now() *namesPage {
	b.mu.Lock()
	defer b.mu.Unlock()
	stamp := b.stamped()
	if b.page != nil && stamp == b.stamp {
		return b.page
	}
	page, err := readNames(b.dir)
	if err != nil {
		b.log.Warn("the book of names is not as its owner wants it", "err", err)
	}
	if b.stamp = stamp; page != nil {
		b.page = page
	} else if b.page == nil {
		b.page = &namesPage{}
	}
	return b.page
}

// stamped changes with the files.
func (b *namesBook) stamped() string {
	var s bytes.Buffer
	files, _ := filepath.Glob(filepath.Join(b.dir, "*")) // of a good pattern
	for _, f := range files[:min(len(files), maxGrantFiles+1)] {
		if st, err := os.Stat(f); err == nil {
			fmt.Fprintln(&s, f, st.Size(), st.ModTime().Format(time.RFC3339Nano))
		}
	}
	return s.String()
}

// readNames reads a book. Beside an error there is a page where all but some grants
// could be read.
func readNames(dir string) (*namesPage, error) {
	p := &namesPage{names: map[petname]lookupDone{}, people: map[lease.Principal]petname{}}
	text, err := readUpTo(filepath.Join(dir, "book.toml"), maxNamesBook+1)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := p.parse(text); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "book.toml"), err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.json")) // of a good pattern
	var errs []error
	for _, f := range files[:min(len(files), maxGrantFiles)] {
		g, err := readGrantFile(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f, err))
			continue
		}
		p.grants = append(p.grants, g)
	}
	return p, errors.Join(errs...)
}

// parse reads the text of a book.
func (p *namesPage) parse(text []byte) error {
	if len(text) > maxNamesBook {
		return fmt.Errorf("more than %d bytes: %w", maxNamesBook, lease.ErrTooBig)
	}
	var f struct {
		People map[petname]string   `toml:"people"`
		Groups map[petname][]string `toml:"groups"`
	}
	dec := toml.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return tomlError(err)
	}
	if n := len(f.People) + len(f.Groups); n > maxNames {
		return fmt.Errorf("%d names, limit %d", n, maxNames)
	}
	for _, name := range slices.Sorted(maps.Keys(f.People)) {
		who, err := parseNamed(f.People[name])
		if err = errors.Join(name.check(), err); err != nil {
			return fmt.Errorf("[people] %.40s: %w", string(name), err)
		}
		p.names[name] = lookupDone{Principals: []lease.Principal{who}}
		if p.people[who] == "" {
			p.people[who] = name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Groups)) {
		g := lookupDone{Group: true}
		err := name.check()
		for _, member := range f.Groups[name] {
			who, ok := p.names[petname(member)]
			switch {
			case ok && !who.Group:
				g.Principals = append(g.Principals, who.Principals[0])
			default:
				one, err2 := parseNamed(member)
				if err2 != nil {
					err = errors.Join(err, fmt.Errorf("%.60q is neither one of [people] nor a principal", member))
				}
				g.Principals = append(g.Principals, one)
			}
		}
		if _, taken := p.names[name]; taken {
			err = errors.Join(err, errors.New("it is in [people] too"))
		}
		if len(g.Principals) == 0 {
			err = errors.Join(err, errors.New("nobody is in it"))
		}
		if err = errors.Join(err, checkPrincipals(g.Principals)); err != nil {
			return fmt.Errorf("[groups] %.40s: %w", string(name), err)
		}
		p.names[name] = g
	}
	return nil
}

// readGrantFile reads a grant as people send it to one another.
func readGrantFile(path string) (lease.Authority, error) {
	b, err := readUpTo(path, 2*lease.MaxAuthority)
	if err != nil {
		return lease.Authority{}, err
	}
	var f struct {
		Croft         string
		Grant, Record []byte
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return lease.Authority{}, err
	}
	return lease.OpenAuthority(lease.SealAuthority(f.Grant, f.Record))
}
