// SPDX-License-Identifier: Apache-2.0

package release

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version is three numbers, the first of which weighs most, as in 1.20.3.
type Version [3]uint32

// ParseVersion reads the form that String writes, and no other.
func ParseVersion(s string) (v Version, err error) {
	parts := strings.Split(s, ".")
	if len(parts) != len(v) {
		return v, fmt.Errorf("version %.40q: want three numbers such as 1.20.3: %w", s, ErrSyntax)
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil || strconv.FormatUint(n, 10) != p {
			return v, fmt.Errorf("version %.40q: want three numbers such as 1.20.3: %w", s, ErrSyntax)
		}
		v[i] = uint32(n)
	}
	return v, nil
}

// String returns the form that people write.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Compare is negative if v is lower than o, and 0 if they are the same.
func (v Version) Compare(o Version) int {
	return cmp.Or(cmp.Compare(v[0], o[0]), cmp.Compare(v[1], o[1]), cmp.Compare(v[2], o[2]))
}

func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

func (v *Version) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVersion(string(b))
	return err
}
