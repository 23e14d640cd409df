// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	cebpf "github.com/cilium/ebpf"
)

// Below the bpf file system a node has
//
//	croft-packets-TAG/DIGEST/{totals,refusals,out,in,force}   a program, "force" last
//	croft-packets-TAG/DIGEST/at-{out,in}                      its links
const bpffs = "/sys/fs/bpf"

var tagForm = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)

func pinDir(root, tag string) (string, error) {
	if !tagForm.MatchString(tag) {
		return "", fmt.Errorf("tag %.20q: want 1 to 16 of a-z, 0-9 and dash", tag)
	}
	if root == "" {
		root = bpffs
	}
	return filepath.Join(root, "croft-packets-"+tag), nil
}

func (p *Programs) home(d Digest) string { return filepath.Join(p.dir, d.String()) }

func (p *Programs) linkPin(d Digest, w way) string {
	return filepath.Join(p.home(d), "at-"+w.String())
}

// Destroy removes everything that is pinned for a tag, and so every program from every
// sliver. It is idempotent.
func Destroy(root, tag string) error {
	dir, err := pinDir(root, tag)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing packet programs: %w", err)
	}
	return nil
}

// pin keeps a program in a directory of its own, where links come too. What has no
// "force" is not all there.
func (x *program) pin(home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	for w, code := range x.code {
		if code != nil {
			if err := code.Pin(filepath.Join(home, way(w).String())); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(x.totals.Pin(filepath.Join(home, "totals")), x.refusals.Pin(filepath.Join(home, "refusals"))); err != nil {
		return err
	}
	return x.force.Pin(filepath.Join(home, "force"))
}

// restore takes up what is pinned, and clears away the rest: what a crash left half
// done, and what another version of the node pinned otherwise. A node starts all the same.
func (p *Programs) restore() error {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		home := filepath.Join(p.dir, e.Name())
		if err := p.takeUp(home, e.Name()); err != nil {
			if p.cfg.Log != nil {
				p.cfg.Log.Warn("a packet program of before cannot be taken up, and is removed", "pin", home, "err", err)
			}
			if err := os.RemoveAll(home); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeUp takes up one program.
func (p *Programs) takeUp(home, name string) error {
	raw, err := hex.DecodeString(name)
	if err != nil || len(raw) != len(Digest{}) {
		return errors.New("its name is no digest")
	}
	d := Digest(raw)
	x, err := restored(home)
	if err != nil {
		return err
	}
	var on uint64
	if err = x.force.Lookup(uint32(0), &on); err == nil {
		err = p.attach(d, x)
	}
	if err != nil {
		x.close()
		return err
	}
	p.loaded[d] = x
	if on != 0 { // of two, between which a crash came, the owner's next word decides
		p.force = &d
	}
	return nil
}

// restored opens the pins of one program.
func restored(home string) (*program, error) {
	x := &program{}
	var err error
	for name, m := range map[string]**cebpf.Map{"force": &x.force, "totals": &x.totals, "refusals": &x.refusals} {
		if err == nil {
			*m, err = cebpf.LoadPinnedMap(filepath.Join(home, name), nil)
		}
	}
	for w := range x.code {
		if err != nil {
			break
		}
		x.code[w], err = cebpf.LoadPinnedProgram(filepath.Join(home, way(w).String()), nil)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}
