// SPDX-License-Identifier: Apache-2.0

package contact

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func invitation(t testing.TB, n int) string {
	t.Helper()
	text, err := Invitation{Until: began.Add(time.Hour).Unix(), Contacts: some(0, n)}.Text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestInvitations(t *testing.T) {
	text := invitation(t, MaxInvited)
	if strings.ContainsAny(text, " \t\n'\"$&;|<>()\\`*?[]#~=%!/+") || !IsInvitation(text) {
		t.Errorf("%q is not one word to a shell", text)
	}
	got, err := ReadInvitation(text, began)
	if err != nil || !reflect.DeepEqual(got.Contacts, some(0, MaxInvited)) {
		t.Errorf("read %+v, %v", got, err)
	}
	if _, err := ReadInvitation(text, began.Add(time.Hour)); !errors.Is(err, ErrLapsed) {
		t.Errorf("an hour later: %v", err)
	}
	for what, bad := range map[string]string{
		"empty": "", "only the mark": invitationMark, "another mark": "croft2" + text[6:], "no base64": text + "=",
		"cut": text[:len(text)-4], "cut in half": text[:len(text)/2], "twice": text + text[6:],
		"a typing slip": text[:20] + string(text[20]^1) + text[21:], "too long": invitationMark + strings.Repeat("A", MaxInvitation),
	} {
		if _, err := ReadInvitation(bad, began); !errors.Is(err, ErrInvitation) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, i := range map[string]Invitation{
		"nobody": {}, "too many": {Contacts: some(0, MaxInvited+1)}, "no address": {Contacts: []Contact{{Node: some(0, 1)[0].Node}}},
	} {
		if _, err := i.Text(); !errors.Is(err, ErrInvitation) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzInvitation(f *testing.F) {
	f.Add(invitation(f, 1))
	f.Add(invitationMark)
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ReadInvitation(text, began)
		if err != nil {
			return
		}
		again, err := i.Text()
		if err != nil || again != text {
			t.Fatalf("%q reads back as %q, %v", text, again, err)
		}
	})
}
