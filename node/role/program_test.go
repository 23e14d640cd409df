// SPDX-License-Identifier: Apache-2.0

package role

import (
	"encoding/hex"
	"errors"
	"testing"

	"croft/lease/leasetest"
)

// A program counts for the slice for which its owner signed it, and no other.
func TestProgramSigned(t *testing.T) {
	alice := leasetest.Key("alice")
	p, err := SignProgram(alice, "calm", []byte("object"))
	if err != nil {
		t.Fatal(err)
	}
	// As docs/roles/packets.md says, put together by other means.
	const signed = "63726f66742f7061636b6574732f310a63616c6d0a2958d416d08aa5a472d7b509036cb7eafd542add84527e66a145ea64cb4cdc75"
	if got := hex.EncodeToString(signedProgram("calm", []byte("object"))); got != signed {
		t.Errorf("signed is %s", got)
	}
	mine := SliceTenant("calm", leasetest.Who("alice"))
	if err := p.Verify(mine); err != nil {
		t.Error(err)
	}
	other := p
	other.Object = []byte("subject")
	short := p
	short.Signature = short.Signature[:63]
	for name, c := range map[string]struct {
		p    Program
		of   Tenant
		want error
	}{
		"another slice":              {p, SliceTenant("calmer", leasetest.Who("alice")), ErrProgram},
		"another owner":              {p, SliceTenant("calm", leasetest.Who("bob")), ErrProgram},
		"another object":             {other, mine, ErrProgram},
		"cut":                        {short, mine, ErrProgram},
		"nobody's":                   {Program{}, mine, ErrProgram},
		"the built-in's":             {p, Builtin, ErrTenant},
		"for which anybody can sign": {p, "calm@aeaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ErrTenant},
	} {
		if err := c.p.Verify(c.of); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := SignProgram(alice, "no label", nil); err == nil {
		t.Error("signed for no slice")
	}
}
