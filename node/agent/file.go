// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/pelletier/go-toml/v2"

	"croft/lease"
	"croft/lease/sign"
)

// ErrConfig says that agent.toml cannot be used, where and why.
var ErrConfig = errors.New("bad agent.toml")

// file is agent.toml.
type file struct {
	Nodes  []string     `toml:"nodes"`
	Person []filePerson `toml:"person"`
	Guests filePerson   `toml:"guests"`
	Peer   []filePeer   `toml:"peer"`
}

type filePerson struct {
	Name    string         `toml:"name"`
	Key     string         `toml:"key"`
	Most    map[string]any `toml:"most"`
	Longest string         `toml:"longest"`
}

type filePeer struct {
	Name   string   `toml:"name"`
	Key    string   `toml:"key"`
	Nodes  []string `toml:"nodes"`
	Share  int      `toml:"share"`
	Degree int      `toml:"degree"`
	For    string   `toml:"for"`
}

// DefaultLongest is how long a ticket may be where the file does not say, and
// DefaultPass is the term of what a peer gets.
const (
	DefaultLongest = time.Hour
	DefaultPass    = time.Hour
)

// Read reads agent.toml. An unknown key is an error; errors name line and column
// where the text is wrong, and the entry where its meaning is.
func Read(text []byte) (Config, error) {
	var f file
	dec := toml.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return Config{}, tomlError(err)
	}
	var cfg Config
	var err error
	if cfg.Nodes, err = principals(f.Nodes); err != nil {
		return Config{}, fmt.Errorf("%w: nodes: %w", ErrConfig, err)
	}
	for i, p := range f.Person {
		person, err := p.read()
		if err == nil && p.Name == "" {
			err = errors.New("no name")
		}
		if err == nil {
			person.Principal, err = sign.ParsePrincipal(p.Key)
		}
		if err != nil {
			return Config{}, fmt.Errorf("%w: person %d (%s): %w", ErrConfig, i+1, p.Name, err)
		}
		cfg.People = append(cfg.People, person)
	}
	if cfg.Guests, err = f.Guests.read(); err != nil {
		return Config{}, fmt.Errorf("%w: guests: %w", ErrConfig, err)
	}
	total := 0
	for i, p := range f.Peer {
		peer, err := p.read()
		if err != nil {
			return Config{}, fmt.Errorf("%w: peer %d (%s): %w", ErrConfig, i+1, p.Name, err)
		}
		total += peer.Share * int(peer.Degree) / lease.MinDegree
		cfg.Peers = append(cfg.Peers, peer)
	}
	if total > lease.MaxDegree {
		return Config{}, fmt.Errorf("%w: peers get %d %% together, no degree carries that", ErrConfig, total)
	}
	return cfg, nil
}

func tomlError(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		line, col := strict.Errors[0].Position()
		return fmt.Errorf("%w: line %d, column %d: unknown key %v", ErrConfig, line, col, strict.Errors[0].Key())
	}
	var dec *toml.DecodeError
	if errors.As(err, &dec) {
		line, col := dec.Position()
		return fmt.Errorf("%w: line %d, column %d: %s", ErrConfig, line, col, dec.Error())
	}
	return fmt.Errorf("%w: %w", ErrConfig, err)
}

func (f filePerson) read() (p Person, err error) {
	p = Person{Name: f.Name}
	if p.Most, err = amounts(f.Most); err != nil {
		return p, err
	}
	p.Longest, err = seconds(f.Longest, DefaultLongest)
	return p, err
}

func (f filePeer) read() (p Peer, err error) {
	p = Peer{Name: f.Name, Share: f.Share, Degree: lease.MinDegree}
	switch {
	case f.Name == "":
		return p, errors.New("no name")
	case f.Share < 0 || f.Share > 100:
		return p, fmt.Errorf("share = %d: want per cent of each ticket, 0 to 100", f.Share)
	case f.Degree != 0 && (f.Degree < lease.MinDegree || f.Degree > lease.MaxDegree):
		return p, fmt.Errorf("degree = %d: want hundredths, %d to %d", f.Degree, lease.MinDegree, lease.MaxDegree)
	case f.Degree != 0:
		p.Degree = uint16(f.Degree)
	}
	if p.Principal, err = sign.ParsePrincipal(f.Key); err != nil {
		return p, err
	}
	if p.Nodes, err = principals(f.Nodes); err != nil {
		return p, fmt.Errorf("nodes: %w", err)
	}
	if p.Term, err = seconds(f.For, DefaultPass); err == nil && p.Term < MinTerm {
		err = fmt.Errorf("for = %q: want %d s or more", f.For, MinTerm)
	}
	return p, err
}

func principals(list []string) ([]lease.Principal, error) {
	out := make([]lease.Principal, len(list))
	for i, s := range list {
		var err error
		if out[i], err = sign.ParsePrincipal(s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func seconds(s string, otherwise time.Duration) (int64, error) {
	d := otherwise
	if s != "" {
		var err error
		if d, err = time.ParseDuration(s); err != nil || d < time.Second || d > lease.MaxTerm*time.Second {
			return 0, fmt.Errorf("%q is no such time: want 30m, 2h", s)
		}
	}
	return int64(d / time.Second), nil
}

// amounts reads { cpu = 2000, memory = "1GiB", egress.rate = "5mbit" }.
func amounts(table map[string]any) (s lease.RSet, err error) {
	flat := map[string]string{}
	flatten(flat, "", table)
	names := make([]string, 0, len(flat))
	for name := range flat {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		r, err := lease.ParseResource(name)
		if err != nil {
			return s, err
		}
		if s[r], err = r.ParseAmount(flat[name]); err != nil {
			return s, err
		}
	}
	return s, nil
}

// flatten undoes what TOML makes of a dotted key.
func flatten(into map[string]string, prefix string, table map[string]any) {
	for key, v := range table {
		switch v := v.(type) {
		case map[string]any:
			flatten(into, prefix+key+".", v)
		case int64:
			into[prefix+key] = strconv.FormatInt(v, 10)
		default:
			into[prefix+key] = fmt.Sprint(v)
		}
	}
}
