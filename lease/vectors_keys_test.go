// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"croft/lease"
)

// Verifiers of Ed25519 differ about signatures that only a key's owner can make
// in odd ways. Ours must not differ: who signs so that half of the world accepts
// it has promised to one half what it denies to the other. These statements are
// asks like askPairs', by hand-made keys: one of mixed order (a point of the
// prime order plus one of order 8), under which a verifier with the cofactor
// accepts both; and one whose signature has the neutral element for R.
const (
	torsionRefused  = "825878a900040158207d2d9059c72bed0cd6b4437331e082739d7feb6a02ec7c516f1b9b54ebf936bb0258206941b4690218f5c17d669a130ffe63384481e0e906850b6e0ddefd6034b58f4803a1001864041a6b36ec80051a6b36fa900b61730c50000000000000000000000000000000000f67636f6d6d6f6e735840e7caaa83373a94afae43fec59b447c99ba282b19a7616c24c785ad8966a1e10ec3ea1fb9b5d4d0854d89a22835de3fc055dca871976bbba254386aeed4250e03"
	torsionAccepted = "825878a900040158207d2d9059c72bed0cd6b4437331e082739d7feb6a02ec7c516f1b9b54ebf936bb0258206941b4690218f5c17d669a130ffe63384481e0e906850b6e0ddefd6034b58f4803a1001864041a6b36ec80051a6b36fa900b61730c50000000000000000000000000000000000f67636f6d6d6f6e73584090fd82620079591503dac1a64af2233f4da513e13246ef93d146ba4b53b25c2dd66790013b403ddc2a366b20be3e9953c48d778183d66d56a01f96f81067d10b"
	neutralR        = "825878a900040158204aa00db515d206e563f0a2054a5a1969a66e6840e502e978fcd36b8620e2dbb10258206941b4690218f5c17d669a130ffe63384481e0e906850b6e0ddefd6034b58f4803a1001864041a6b36ec80051a6b36fa900b61730c50000000000000000000000000000000000f67636f6d6d6f6e73584001000000000000000000000000000000000000000000000000000000000000003b3bb23724682866bc905e1bc4eec1bbf939294273d1a1ce305e90d17912cc08"
)

func keyVectors(t testing.TB, raw func(name, expect, note string, b []byte), sound []byte) {
	raw("key-mixed-order", "signature S11", "accepted only by who multiplies by the cofactor", unhex(torsionRefused))
	raw("key-mixed-order-sound", "ok", "the same key: here the equation holds as it stands", unhex(torsionAccepted))
	raw("signature-neutral", "ok", "R is the neutral element: poor, but the equation holds", unhex(neutralR))
	raw("signature-malleable", "signature S11", "S plus the order of the group", malleable(t, sound))

	beyond := askPairs()
	key := slices.Repeat([]byte{0xff}, 32)
	key[0], key[31] = 0xf0, 0x7f // y = p+3, which some read as 3
	beyond[2].value = bstr(key)
	raw("key-beyond-prime", "field S5", "a node whose y is not below the prime", enclose(lease.Domain, cborMap(beyond...)))
	beyond[2].value = bstr(make([]byte, 32))
	raw("key-zero", "field S5", "no node", enclose(lease.Domain, cborMap(beyond...)))
	order8, err := hex.DecodeString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85")
	if err != nil {
		t.Fatal(err)
	}
	beyond[2].value = bstr(order8)
	raw("key-order-8", "field S5", "a node of order 8, x odd", enclose(lease.Domain, cborMap(beyond...)))
}

// malleable adds the group's order to S: the same equation holds, but S is not
// the one number below the order.
func malleable(t testing.TB, statement []byte) []byte {
	order, ok := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	if !ok {
		t.Fatal("the order of the group")
	}
	out := slices.Clone(statement)
	s := out[len(out)-32:]
	slices.Reverse(s)
	new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(s)
	slices.Reverse(s)
	return out
}
