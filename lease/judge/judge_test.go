// SPDX-License-Identifier: Apache-2.0

package judge_test

import (
	"errors"
	"fmt"
	"testing"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// Nobody is blamed for what only this node finds wrong, or does not understand.
func TestBlameIsForWhatIsWrongForEverybody(t *testing.T) {
	var unknown struct {
		A uint64 `cbor:"1,keyasint"`
	}
	newer := lease.Decode([]byte{0xa1, 0x02, 0x00}, &unknown, 16) // a map with key 2
	for _, c := range []struct {
		err    error
		want   judge.Judgement
		reason judge.Reason
	}{
		{nil, judge.Accept, judge.None},
		{newer, judge.Ignore, judge.Newer},
		{lease.ErrUnknownResource, judge.Ignore, judge.Newer},
		{offer.ErrCertificate, judge.Ignore, judge.Certificate},
		{offer.ErrExpired, judge.Ignore, judge.Expired},
		{offer.ErrEarly, judge.Ignore, judge.Early},
		{lease.ErrTooBig, judge.Reject, judge.TooBig},
		{lease.ErrNotCanonical, judge.Reject, judge.NotCanonical},
		{lease.ErrSyntax, judge.Reject, judge.Malformed},
		{lease.ErrField, judge.Reject, judge.Field},
		{lease.ErrKind, judge.Reject, judge.Field},
		{lease.ErrSignature, judge.Reject, judge.Signature},
		{errors.New("what nobody foresaw"), judge.Ignore, judge.UnknownReason},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("reading it: %w", err)
		}
		if j, r := judge.Of(err); j != c.want || r != c.reason {
			t.Errorf("%v: %s %s, want %s %s", c.err, j, r, c.want, c.reason)
		}
		want, reason := c.want, c.reason
		if reason == judge.UnknownReason {
			want, reason = judge.Reject, judge.Unproven
		}
		if j, r := judge.OfBytes(err, judge.Unproven); j != want || r != reason {
			t.Errorf("%v, by its bytes alone: %s %s, want %s %s", c.err, j, r, want, reason)
		}
	}
}
