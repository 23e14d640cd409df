// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"strings"
	"testing"

	"croft/sim/report"
)

// Whatever passes for a report can be shown, and is no markup.
func FuzzWrite(f *testing.F) {
	f.Add([]byte(`{"world":"w","virtual_ns":60000000000,"measures":[{"figure":"x","scale":1,"distribution":{"count":1,"sum":1,"max":1,"classes":[[1,1]]}}],` +
		`"courses":[{"group":"nodes","of":"up","kind":"level","every_ns":1000000000,"values":[1,null,2]},{"group":"x","kind":"sample","every_ns":1,"values":[1],"max":[2]}],` +
		`"tables":[{"title":"t","case":"c","columns":[{"name":"a"}],"rows":[{"case":"x","values":[1,null]},{"case":"y","values":null}]}],"curves":[{"title":"t","x":{"label":"x","log":true},"y":{"label":"y"},"lines":[{"name":"l","points":[[0,-1],[1e300,2]],"spread":[1,2,3],"dots":true}]}],"steps":[{"at_ns":1,"until_ns":2,"text":"<script>"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		runs, err := report.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		var page strings.Builder
		if err := Write(&page, append(runs, runs[0])); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(page.String(), "<script") {
			t.Error("markup")
		}
	})
}
