// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The host forwards for the uplink and for the interfaces with a default route,
// and for nothing else: the switches are those of single interfaces. IPv6 has
// such a switch from Linux 6.17 on; before, IPv6 is used only where the whole
// host forwards already, as the global switch also stops router advertisements.

// noteMark starts an uplink's alias. What follows are the switches that we
// turned on, as "4/eth0" or "6/eth0".
const noteMark = "croft forwarding:"

func forwardSetting(note string) (setting, string, error) {
	family, dev, ok := strings.Cut(note, "/")
	if !ok || !plainDev(dev) {
		return setting{}, "", fmt.Errorf("note %q of a switched interface: %w", note, ErrConfig)
	}
	switch family {
	case "4":
		return conf4(dev, "forwarding", "1"), dev, nil
	case "6":
		return conf6(dev, "force_forwarding", "1"), dev, nil
	}
	return setting{}, "", fmt.Errorf("note %q of a switched interface: %w", note, ErrConfig)
}

// plainDev accepts dots (VLANs), but nothing that walks out of its directory.
func plainDev(dev string) bool {
	return dev != "" && dev != "." && dev != ".." && !strings.ContainsAny(dev, "/ ")
}

// formatNotes renders an uplink's alias.
func formatNotes(notes []string) (string, error) {
	s := noteMark
	for _, n := range notes {
		s += " " + n
	}
	if len(s) > maxAlias {
		return "", fmt.Errorf("%d interfaces with a default route: %w", len(notes), ErrConfig)
	}
	return s, nil
}

// parseNotes reads it back; an alias that is not ours has no notes.
func parseNotes(alias string) []string {
	rest, ok := strings.CutPrefix(alias, noteMark)
	if !ok {
		return nil
	}
	return strings.Fields(rest)
}

// switchesOff are the notes whose switch is off now, in the calling thread's
// namespace.
func switchesOff(wanted []string) ([]string, error) {
	var off []string
	for _, note := range wanted {
		s, _, err := forwardSetting(note)
		if err != nil {
			return nil, err
		}
		now, err := s.read()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.path, err)
		}
		if now == "0" {
			off = append(off, note)
		}
	}
	return off, nil
}

// restore turns the noted switches off again. An interface that is gone took
// its switch along.
func restore(notes []string) error {
	var errs []error
	for _, note := range notes {
		s, _, err := forwardSetting(note)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := s.read(); err != nil {
			continue
		}
		s.value = "0"
		errs = append(errs, s.write())
	}
	return errors.Join(errs...)
}

// union keeps the order of first mention.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
