// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// within runs f on a thread of its own in the network namespace ns. Sockets that
// f makes stay in ns.
func within(ns netns.NsHandle, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- func() (err error) {
			home, err := netns.Get()
			if err != nil {
				return fmt.Errorf("remembering network namespace: %w", err)
			}
			defer home.Close()
			defer func() {
				if back := netns.Set(home); back != nil { // the thread ends with this goroutine
					err = errors.Join(err, fmt.Errorf("returning to network namespace: %w", back))
					return
				}
				runtime.UnlockOSThread()
			}()
			if ns.IsOpen() {
				if err := netns.Set(ns); err != nil {
					return fmt.Errorf("entering network namespace: %w", err)
				}
			}
			return f()
		}()
	}()
	return <-done
}

// anonymous is a namespace without a name: it goes with its last handle, also
// when this process is killed.
func anonymous() (ns netns.NsHandle, err error) {
	err = within(netns.None(), func() (err error) { ns, err = netns.New(); return err })
	return ns, err
}

// sysctl writes files below /proc/sys/net of a namespace.
func sysctl(ns netns.NsHandle, settings ...[2]string) error {
	return within(ns, func() error {
		for _, s := range settings {
			if err := os.WriteFile(filepath.Join("/proc/sys/net", s[0]), []byte(s[1]), 0); err != nil {
				return fmt.Errorf("setting %s: %w", s[0], err)
			}
		}
		return nil
	})
}

// boot is the boot clock in ns.
func boot() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // every Linux since 2.6.39 has it
	}
	return ts.Nano()
}
