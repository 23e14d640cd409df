// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netns"
)

// A setting is one file below /proc/sys/net and what is to stand in it.
// Which namespace it speaks of is decided by the thread that opens it.
type setting struct{ path, value string }

func conf4(dev, key, value string) setting {
	return setting{"ipv4/conf/" + dev + "/" + key, value}
}

func conf6(dev, key, value string) setting {
	return setting{"ipv6/conf/" + dev + "/" + key, value}
}

func (s setting) file() string { return filepath.Join("/proc/sys/net", s.path) }

func (s setting) read() (string, error) {
	b, err := os.ReadFile(s.file())
	return strings.TrimSpace(string(b)), err
}

// write leaves a file alone that says so already. Kernels without IPv6 have no
// ipv6 files: what would be switched off there is off.
func (s setting) write() error {
	now, err := s.read()
	if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(s.path, "ipv6/") {
		return nil
	}
	if err == nil && now == s.value {
		return nil
	}
	if err := os.WriteFile(s.file(), []byte(s.value), 0); err != nil {
		return fmt.Errorf("setting %s: %w", s.path, err)
	}
	return nil
}

// set writes settings in a namespace.
func set(ns netns.NsHandle, settings ...setting) error {
	return within(ns, func() error {
		for _, s := range settings {
			if err := s.write(); err != nil {
				return err
			}
		}
		return nil
	})
}
