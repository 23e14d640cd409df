// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// alarm fires when the boot clock reaches a deadline, also one that passed
// while the machine slept.
type alarm struct {
	file *os.File
	C    chan struct{} // one value for each time that it fires
}

func newAlarm(deadline int64) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("making the deadline's timer: %w", err)
	}
	a := &alarm{file: os.NewFile(uintptr(fd), "deadline"), C: make(chan struct{}, 1)}
	if err := a.set(deadline); err != nil {
		a.file.Close()
		return nil, err
	}
	go func() {
		buf := make([]byte, 8)
		for {
			if _, err := a.file.Read(buf); err != nil {
				return // closed
			}
			select {
			case a.C <- struct{}{}:
			default: // the last one is still unread
			}
		}
	}()
	return a, nil
}

// set moves the deadline, in nanoseconds of the boot clock.
func (a *alarm) set(deadline int64) error {
	raw, err := a.file.SyscallConn()
	if err != nil {
		return err
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(deadline, 1))} // 0 would switch it off
	var setErr error
	err = raw.Control(func(fd uintptr) { setErr = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil) })
	if err == nil {
		err = setErr
	}
	if err != nil {
		return fmt.Errorf("setting the deadline's timer: %w", err)
	}
	return nil
}

func (a *alarm) close() { a.file.Close() }
