// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"errors"
	"fmt"
	"os"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// hooks are where the kernel asks on each way.
var hooks = [ways]cebpf.AttachType{out: cebpf.AttachCGroupInetEgress, in: cebpf.AttachCGroupInetIngress}

// cgroupID is what the kernel calls a cgroup2 directory: its inode.
func cgroupID(dir string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	return st.Ino, nil
}

// attach has a program judge the slivers, beside others: at the cgroup above them, so
// that one that restarts, in a new cgroup of its own, is judged from its first packet.
// It is idempotent. A link of a cgroup that is gone makes way. Where there is none yet
// there is no sliver, and [Programs.Begin] sees to it.
func (p *Programs) attach(d Digest, x *program) error {
	id, err := cgroupID(p.cfg.Parent)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finding the cgroup of slivers: %w", err)
	}
	for w, code := range x.code {
		if code == nil {
			continue
		}
		pin := p.linkPin(d, way(w))
		switch at, err := attachedTo(pin); {
		case err == nil && at == id:
			continue
		case err == nil:
			if err := os.Remove(pin); err != nil {
				return fmt.Errorf("taking a packet program from a cgroup that is gone: %w", err)
			}
		case !errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("looking where a packet program is: %w", err)
		}
		if err := p.hook(pin, way(w), code); err != nil {
			return fmt.Errorf("attaching a packet program: %w", err)
		}
	}
	return nil
}

func (p *Programs) hook(pin string, w way, code *cebpf.Program) error {
	dir, err := os.Open(p.cfg.Parent)
	if err != nil {
		return err
	}
	defer dir.Close()
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: code, Attach: hooks[w]})
	if err != nil {
		return err
	}
	return errors.Join(l.Pin(pin), l.Close())
}

// attachedTo is the id of the cgroup that a pinned link is at; 0: that one is gone.
func attachedTo(pin string) (uint64, error) {
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return 0, err
	}
	at := info.Cgroup()
	if at == nil {
		return 0, fmt.Errorf("%s is a link of another kind", pin)
	}
	return at.CgroupId, nil
}
