// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"croft/sim/lab"
)

// TestRootNAT plays sessions on a lab in which most sites are behind NAT: two nodes
// in the open, two behind one cone, one behind a symmetric NAT, one behind a carrier.
func TestRootNAT(t *testing.T) {
	needLab(t)
	sites := append(lab.DefaultSites(), lab.Site{Name: "isp-d", Country: "SE", Region: "eu", City: "Stockholm", Lat: 59.33, Lon: 18.07, AS: 64499})
	sites[1].NAT, sites[2].NAT, sites[3].NAT = lab.NATCone, lab.NATSymmetric, lab.NATCarrier
	var nodes []lab.NodeSpec
	for _, site := range []int{0, 0, 1, 1, 2, 3} {
		nodes = append(nodes, lab.NodeSpec{Site: sites[site].Name})
	}
	l, _ := bringUp(t, lab.Config{Sites: sites, Nodes: nodes})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/nat/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts, %v", err)
	}
	for _, f := range files {
		t.Run("one after the other", func(t *testing.T) {
			testscript.Run(t, testscript.Params{Files: []string{f}, RequireUniqueNames: true, RequireExplicitExec: true, Cmds: commands(), Setup: setUp(l, status)})
		})
	}
}
