// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// runOutside runs a command in the mount namespace in which the Runtime lives.
func runOutside(ctx context.Context, argv []string) error {
	done := make(chan error, 1)
	go func() {
		// A child is born into the namespaces of the thread that forks it. The
		// thread is never unlocked and so ends with the goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			done <- fmt.Errorf("leaving mount namespace: %w", err)
			return
		}
		if err := unix.Setns(hostMountsFD, unix.CLONE_NEWNS); err != nil {
			done <- fmt.Errorf("leaving mount namespace: %w", err)
			return
		}
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("running %s: %w: %.200s", argv[0], err, strings.TrimSpace(string(out)))
		}
		done <- err
	}()
	return <-done
}
