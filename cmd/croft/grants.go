// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"croft/lease"
)

// What others let this person do is kept one file each, HOME/grants/ID.json. The
// file is what the owner of the slice sent: it can be mailed, it is no secret,
// and only the holder's key can use it.

// grantFile is a grant as it travels between people.
type grantFile struct {
	Croft  string `json:"croft"` // what this file is
	Grant  []byte `json:"grant"`
	Record []byte `json:"record"` // on which it stood when it was written
}

const grantKind = "grant/1"

// maxGrantFile is the size in bytes of such a file: an authority in base64.
const maxGrantFile = 2 * lease.MaxAuthority

func (a *app) grantDir() string { return filepath.Join(a.home, "grants") }

// heldGrant is a grant in the grants directory.
type heldGrant struct {
	lease.Authority
	path string
}

// name is the slice as people write it.
func (g heldGrant) name() string { return sliceAt(g.Slice, g.Issuer) }

// sliceAt is how people write a slice of another's.
func sliceAt(label string, owner lease.Principal) string {
	if label == "" {
		label = "*"
	}
	return label + "@" + owner.Short()
}

// readGrant reads a grant's file and checks both signatures.
func readGrant(path string) (lease.Authority, error) {
	b, err := readBounded(path, maxGrantFile)
	if err != nil {
		return lease.Authority{}, err
	}
	var f grantFile
	if err := json.Unmarshal(b, &f); err != nil || f.Croft != grantKind {
		return lease.Authority{}, usage("`croft slice grant` and `croft key device add` write one", "%s is not a grant", path)
	}
	g, err := lease.OpenAuthority(lease.SealAuthority(f.Grant, f.Record))
	if err != nil {
		return lease.Authority{}, usage("ask its issuer for it again", "%s: %w", path, err)
	}
	return g, nil
}

// encodeGrant is the file's text.
func encodeGrant(grant, record []byte) []byte {
	b, err := json.Marshal(grantFile{Croft: grantKind, Grant: grant, Record: record})
	if err != nil {
		panic(err) // two byte strings always encode
	}
	return append(b, '\n')
}

// held returns the grants that are kept, by slice. A file that is none is told
// of and passed over.
func (a *app) held() []heldGrant {
	files, err := filepath.Glob(filepath.Join(a.grantDir(), "*.json"))
	if err != nil {
		return nil
	}
	var list []heldGrant
	for _, path := range files {
		g, err := readGrant(path)
		if err != nil {
			a.say("%s", plain(err))
			continue
		}
		list = append(list, heldGrant{g, path})
	}
	slices.SortFunc(list, func(x, y heldGrant) int {
		return strings.Compare(x.name()+x.ID.String(), y.name()+y.ID.String())
	})
	return list
}

// accept keeps a grant for the holder of the person's key.
func (a *app) accept(path string, device bool) (heldGrant, error) {
	g, err := readGrant(path)
	if err != nil {
		return heldGrant{}, err
	}
	key, err := a.mine()
	if err != nil {
		return heldGrant{}, err
	}
	switch {
	case g.Holder != key.Principal():
		return heldGrant{}, usage("name the holder's key with --key", "%s is for %s, your key is %s", path, g.Holder.Short(), key.Principal().Short())
	case device && g.Slice != "":
		return heldGrant{}, usage("`croft slice accept` takes it", "%s is for one slice, %s", path, g.Slice)
	case !device && g.Slice == "":
		return heldGrant{}, usage("`croft key device import` takes it", "%s makes this device one of %s", path, g.Issuer.Short())
	case g.Until <= time.Now().Unix():
		return heldGrant{}, fail(exitRefused, "ask its issuer for another", "%s ended at %s", path, clockTime(g.Until))
	}
	if err := os.MkdirAll(a.grantDir(), 0o700); err != nil {
		return heldGrant{}, err
	}
	b, err := readBounded(path, maxGrantFile)
	if err != nil {
		return heldGrant{}, err
	}
	h := heldGrant{g, filepath.Join(a.grantDir(), g.ID.String()[:16]+".json")}
	if err := writeNew(h.path, b, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return heldGrant{}, fmt.Errorf("keeping the grant: %w", err)
	}
	return h, nil
}

// others are the slices of others on which this person may act now, each as
// LABEL@OWNER in full: those that grants name, and under grants over all slices of
// somebody's those that are kept here.
func (a *app) others() (names []string, err error) {
	key, err := a.known()
	if key == nil || err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(a.sliceDir(), "*@*.json"))
	if err != nil {
		return nil, err
	}
	now := time.Now().Unix()
	for _, g := range a.held() {
		switch of := "@" + g.Issuer.String(); {
		case g.Holder != key.Principal(), !g.Term().Covers(now):
		case g.Slice != "":
			names = append(names, g.Slice+of)
		default:
			for _, f := range files {
				if name := strings.TrimSuffix(filepath.Base(f), ".json"); strings.HasSuffix(name, of) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// choose finds the grants for a slice whose owner begins as typed, that have one
// of the verbs and have not ended, those that last longest first. Which of them
// stand is the slice's record's to say.
func (a *app) choose(label, owner string, me lease.Principal, any lease.Verbs) ([]heldGrant, error) {
	now := time.Now().Unix()
	var fit []heldGrant
	var names []string
	var why error
	for _, g := range a.held() {
		if g.Holder != me {
			continue
		}
		names = append(names, g.name())
		switch {
		case !strings.HasPrefix(g.Issuer.String(), owner), g.Slice != "" && g.Slice != label:
		case len(fit) > 0 && fit[0].Issuer != g.Issuer:
			return nil, usage("type more of its owner", "%s@%s could be of %s or %s", label, owner, fit[0].Issuer.Short(), g.Issuer.Short())
		case !g.Term().Covers(now):
			why = fail(exitRefused, "ask its owner for another", "your grant for %s ended at %s", g.name(), clockTime(g.Until))
		case g.Verbs&any == 0:
			why = fail(exitRefused, "ask its owner for more", "your grant for %s is for %s, not for %s", g.name(), g.Verbs, any)
		default:
			fit = append(fit, g)
		}
	}
	slices.SortStableFunc(fit, func(x, y heldGrant) int { return cmp.Compare(y.Until, x.Until) })
	switch {
	case len(fit) > 0:
		return fit, nil
	case why != nil:
		return nil, why
	}
	hint := didYouMean(label+"@"+owner, names)
	if hint == "" {
		hint = "`croft slice accept FILE` keeps what its owner sent you"
	}
	return nil, fail(exitNothing, hint, "you have no grant for %s@%s", label, owner)
}
