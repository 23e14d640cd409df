// SPDX-License-Identifier: Apache-2.0

package optout

import "croft/lease/judge"

// What may be against an entry besides what may be against any message.
const (
	NotChosen   judge.Reason = "not-chosen"   // the hash does not name the network of one who attests
	SameSite    judge.Reason = "same-site"    // two who attest are of one site
	SameNetwork judge.Reason = "same-network" // two who attest are in one network
	LiveNode    judge.Reason = "live-node"    // the address is a node's
)

// Meaning returns a clause that a person can read.
func Meaning(r judge.Reason) string {
	if m, ok := meanings[r]; ok {
		return m
	}
	return string(r)
}

var meanings = map[judge.Reason]string{
	judge.TooBig:       "it is too big",
	judge.Malformed:    "it does not parse",
	judge.NotCanonical: "it is not in the one form that it may have",
	judge.Field:        "a value in it is impossible",
	judge.Signature:    "a signature is not the node's",
	judge.Newer:        "it has a field that this version does not know",
	judge.Expired:      "it has ended",
	judge.Early:        "it begins in the future",
	judge.Superseded:   "this node keeps one for the address that holds longer",
	judge.Duplicate:    "this node has it",
	judge.TooOften:     "too many came at once",
	judge.Crowded:      "there is no room for more of that network",
	judge.Stranger:     "one who attests is not a node of a site that this node knows and reached",
	NotChosen:          "one who attests was not chosen for the address on that day",
	SameSite:           "two who attest belong to one site",
	SameNetwork:        "two who attest are in one network",
	LiveNode:           "the address is that of a node",
}

// verdictOf maps an error of reading or verifying an entry. Nothing but its bytes
// enters, so that every honest node finds the same.
func verdictOf(err error) Verdict {
	j, reason := judge.OfBytes(err, judge.Malformed)
	return Verdict{j, reason}
}
