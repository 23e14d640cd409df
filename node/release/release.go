// SPDX-License-Identifier: Apache-2.0

package release

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"croft/lease"
)

// Domain is the first line of a release: it separates these signatures from every other
// use of a publisher's key.
const Domain = "croft/release/1\n"

// Release says which version to run, and what it is made of.
type Release struct {
	Version Version
	Said    time.Time // when publishers said so, in whole seconds
	Until   time.Time // by when they want to be heard again
	After   Version   // the lowest version that it follows on; zero: any
	Builds  []Build   // by platform, in the order of their names
	Note    string    // for a person, in a line; may be empty
}

// Build is one file: the program for one platform.
type Build struct {
	Platform string       `json:"platform"` // as Go names them: linux/amd64
	Size     int64        `json:"size"`     // bytes
	Digest   lease.Digest `json:"digest"`
}

var platform = regexp.MustCompile(`^[a-z0-9]{1,16}/[a-z0-9]{1,16}$`)

// Build returns the build for a platform, or [ErrPlatform].
func (r Release) Build(on string) (Build, error) {
	for _, b := range r.Builds {
		if b.Platform == on {
			return b, nil
		}
	}
	return Build{}, fmt.Errorf("release %s for %s: %w", r.Version, on, ErrPlatform)
}

// Body returns what publishers sign.
func (r Release) Body() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("release %s: %w", r.Version, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%sversion %s\nsaid %s\nuntil %s\n", Domain, r.Version, r.Said.UTC().Format(time.RFC3339), r.Until.UTC().Format(time.RFC3339))
	if r.After != (Version{}) {
		fmt.Fprintf(&b, "after %s\n", r.After)
	}
	for _, f := range r.Builds {
		fmt.Fprintf(&b, "build %s %d %s\n", f.Platform, f.Size, f.Digest)
	}
	if r.Note != "" {
		fmt.Fprintf(&b, "note %s\n", r.Note)
	}
	return []byte(b.String()), nil
}

func (r Release) check() error {
	last := ""
	for _, b := range r.Builds {
		switch {
		case !platform.MatchString(b.Platform):
			return fmt.Errorf("a build for %.40q: %w", b.Platform, ErrSyntax)
		case b.Platform <= last:
			return fmt.Errorf("builds out of order, or two for %s: %w", b.Platform, ErrSyntax)
		case b.Size < 1 || b.Size > MaxBuild:
			return fmt.Errorf("a build of %d bytes: %w", b.Size, ErrSyntax)
		}
		last = b.Platform
	}
	term := r.Until.Sub(r.Said)
	switch {
	case r.Version == Version{}:
		return fmt.Errorf("no version: %w", ErrSyntax)
	case r.Said.Nanosecond() != 0 || r.Until.Nanosecond() != 0 || r.Said.Unix() <= 0 || r.Until.Year() > 9999:
		return fmt.Errorf("times that are no whole seconds: %w", ErrSyntax)
	case term <= 0 || term > MaxTerm:
		return fmt.Errorf("a term of %s: %w", term, ErrSyntax)
	case len(r.Builds) == 0 || len(r.Builds) > MaxBuilds:
		return fmt.Errorf("%d builds: %w", len(r.Builds), ErrSyntax)
	case r.After.Compare(r.Version) >= 0:
		return fmt.Errorf("it comes after %s: %w", r.After, ErrSyntax)
	case len(r.Note) > MaxNote || !utf8.ValidString(r.Note) || strings.TrimSpace(r.Note) != r.Note || strings.ContainsFunc(r.Note, func(c rune) bool { return !unicode.IsPrint(c) }):
		return fmt.Errorf("a note that is not one printable line of at most %d bytes: %w", MaxNote, ErrSyntax)
	}
	return nil
}

// parseBody reads what Body wrote, and nothing else.
func parseBody(body string) (r Release, err error) {
	rest, ok := strings.CutPrefix(body, Domain)
	if !ok {
		return r, fmt.Errorf("it does not begin with %q: %w", Domain, ErrSyntax)
	}
	for line := range strings.Lines(rest) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "version":
			r.Version, err = ParseVersion(value)
		case "said":
			r.Said, err = time.Parse(time.RFC3339, value)
		case "until":
			r.Until, err = time.Parse(time.RFC3339, value)
		case "after":
			r.After, err = ParseVersion(value)
		case "build":
			var b Build
			if b, err = parseBuild(value); len(r.Builds) <= MaxBuilds {
				r.Builds = append(r.Builds, b)
			}
		case "note":
			r.Note = value
		default:
			err = ErrSyntax
		}
		if err != nil {
			return r, fmt.Errorf("line %.60q: %w", line, ErrSyntax)
		}
	}
	if written, err := r.Body(); err != nil {
		return r, err
	} else if string(written) != body {
		return r, fmt.Errorf("lines in another order, twice or written otherwise: %w", ErrSyntax)
	}
	return r, nil
}

func parseBuild(s string) (b Build, err error) {
	parts := strings.Split(s, " ")
	if len(parts) != 3 {
		return b, ErrSyntax
	}
	b.Platform = parts[0]
	if b.Size, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return b, err
	}
	return b, b.Digest.UnmarshalText([]byte(parts[2]))
}
