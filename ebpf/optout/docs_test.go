// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// The pages of attestations and of sightings say how early one may be.
func TestSkewIsDocumented(t *testing.T) {
	for file, words := range map[string]string{"optout.md": "begins more than %d s ahead", "witness.md": "from 600 s old to %d s ahead"} {
		b, err := os.ReadFile("../../docs/protocol/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(words, MaxSkew/time.Second); !strings.Contains(string(b), want) {
			t.Errorf("docs/protocol/%s does not say %q", file, want)
		}
	}
}
