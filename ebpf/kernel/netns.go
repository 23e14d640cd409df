// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// inNetNS runs do in the network namespace at path. It has a thread of its own,
// which ends with it when the way back fails.
func inNetNS(path string, do func() error) error {
	if path == "" {
		return do()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			home, err := netns.Get()
			if err != nil {
				return fmt.Errorf("finding this namespace: %w", err)
			}
			defer home.Close()
			there, err := netns.GetFromPath(path)
			if err != nil {
				return fmt.Errorf("opening namespace %s: %w", path, err)
			}
			defer there.Close()
			if err := netns.Set(there); err != nil {
				return fmt.Errorf("entering namespace %s: %w", path, err)
			}
			err = do()
			if netns.Set(home) == nil {
				runtime.UnlockOSThread()
			}
			return err
		}()
	}()
	return <-done
}

// inNewNetNS runs do in a network namespace that is gone when do has returned.
func inNewNetNS(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and ends with its thread
		done <- func() error {
			there, err := netns.New()
			if err != nil {
				return fmt.Errorf("making a namespace: %w", err)
			}
			defer there.Close()
			return do()
		}()
	}()
	return <-done
}

// setDown takes a device down, so that nothing passes it unguarded. One that is
// gone is down.
func setDown(path string, ifindex int) error {
	err := inNetNS(path, func() error {
		dev, err := netlink.LinkByIndex(ifindex)
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(dev)
	})
	if deviceGone(err) {
		return nil
	}
	return err
}
