// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"

	"croft/lease"
)

// key returns the key that a seed byte names, and its principal.
func key(seed byte) (ed25519.PrivateKey, lease.Principal) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return k, lease.Principal(k.Public().(ed25519.PublicKey))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// wayIn sits between two conns and copies bytes; each direction by its own rule.
// A rule sees the bytes that pass and their offset, and returns what to send on
// and whether to go on.
type rule func(b []byte, at int) (send []byte, on bool)

func honest(b []byte, _ int) ([]byte, bool) { return b, true }

func flip(at int) rule {
	return func(b []byte, from int) ([]byte, bool) {
		if i := at - from; i >= 0 && i < len(b) {
			b[i] ^= 0x20
		}
		return b, true
	}
}

func cutAt(at int) rule {
	return func(b []byte, from int) ([]byte, bool) {
		if from+len(b) >= at {
			return b[:max(0, at-from)], false
		}
		return b, true
	}
}

func wayIn(there, back rule) (caller, target net.Conn, carried *sync.WaitGroup) {
	caller, a := net.Pipe()
	target, b := net.Pipe()
	carry := func(to, from net.Conn, r rule) {
		defer to.Close()
		defer from.Close()
		buf := make([]byte, 1000)
		for at := 0; ; {
			n, err := from.Read(buf)
			send, on := r(buf[:n], at)
			at += n
			if _, werr := to.Write(send); err != nil || werr != nil || !on {
				return
			}
		}
	}
	carried = new(sync.WaitGroup)
	carried.Go(func() { carry(b, a, there) })
	carried.Go(func() { carry(a, b, back) })
	return caller, target, carried
}

// session has caller (key 1) and target (key 2) secure a channel and exchange
// one message each way; it returns what either saw, when all has been carried.
func session(caller, target net.Conn, carried *sync.WaitGroup) (who lease.Principal, callerErr, targetErr error) {
	k1, _ := key(1)
	k2, p2 := key(2)
	var wg sync.WaitGroup
	wg.Go(func() {
		callerErr = func() error {
			c, err := Secure(context.Background(), caller, k1, p2)
			if err != nil {
				return err
			}
			defer c.Close()
			return exchange(c, "ping", "pong")
		}()
	})
	wg.Go(func() {
		targetErr = func() error {
			c, p, err := Accept(context.Background(), target, k2)
			if err != nil {
				return err
			}
			defer c.Close()
			who = p
			return exchange(c, "pong", "ping")
		}()
	})
	wg.Wait()
	carried.Wait()
	return who, callerErr, targetErr
}

// exchange sends one text, ends its direction, and reads the other to its end.
func exchange(c net.Conn, say, hear string) error {
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, say); err != nil {
		return err
	}
	if err := c.(*channel).CloseWrite(); err != nil {
		return err
	}
	b, err := io.ReadAll(c)
	if err == nil && string(b) != hear {
		return errors.New("heard " + string(b))
	}
	return err
}

func TestSecureAndAccept(t *testing.T) {
	_, p1 := key(1)
	var there, back int
	count := func(n *int) rule {
		return func(b []byte, _ int) ([]byte, bool) { *n += len(b); return b, true }
	}
	who, callerErr, targetErr := session(wayIn(count(&there), count(&back)))
	must(t, callerErr)
	must(t, targetErr)
	if who != p1 {
		t.Fatalf("target saw %s, want %s", who.Short(), p1.Short())
	}
}

// Whatever byte the way in alters, in the handshake or after it, at least the
// side that receives it notices, and neither hears anything wrong.
func TestWayInAltersAnyByte(t *testing.T) {
	for _, side := range []string{"there", "back"} {
		total := 0
		count := func(b []byte, _ int) ([]byte, bool) { total += len(b); return b, true }
		if side == "there" {
			session(wayIn(count, honest))
		} else {
			session(wayIn(honest, count))
		}
		if total < 200 {
			t.Fatalf("only %d bytes went %s", total, side)
		}
		for at := range total {
			synctest.Test(t, func(t *testing.T) { // a longer length is waited for, in no time
				there, back := flip(at), rule(honest)
				if side == "back" {
					there, back = back, there
				}
				_, callerErr, targetErr := session(wayIn(there, back))
				if side == "there" && targetErr == nil || side == "back" && callerErr == nil {
					t.Fatalf("byte %d of %d %s altered: nobody noticed", at, total, side)
				}
			})
		}
	}
}

// Wherever the way in cuts the stream, the end is not taken for an honest one.
func TestWayInCuts(t *testing.T) {
	total := 0
	session(wayIn(func(b []byte, _ int) ([]byte, bool) { total += len(b); return b, true }, honest))
	for at := range total {
		synctest.Test(t, func(t *testing.T) {
			_, _, targetErr := session(wayIn(cutAt(at), honest))
			if targetErr == nil {
				t.Fatalf("cut at byte %d of %d: target took it for the end", at, total)
			}
		})
	}
}

func TestWayInReplays(t *testing.T) {
	var recorded []byte
	session(wayIn(func(b []byte, _ int) ([]byte, bool) {
		recorded = append(recorded, b...)
		return b, true
	}, honest))
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go func() {
			near.Write(recorded)
			near.Close()
		}()
		go io.Copy(io.Discard, near)
		k2, _ := key(2)
		_, _, err := Accept(t.Context(), far, k2)
		wantErr(t, err, ErrHandshake)
	})
}

func TestAnotherNodeAnswers(t *testing.T) {
	k1, _ := key(1)
	k3, _ := key(3)
	_, p2 := key(2)
	near, far := net.Pipe()
	go Accept(t.Context(), far, k3)
	_, err := Secure(t.Context(), near, k1, p2)
	wantErr(t, err, ErrWrongNode)
}

// A handshake meant for a hop between libp2p hosts does not fit.
func TestNotALibp2pHop(t *testing.T) {
	k1, _ := key(1)
	k2, p2 := key(2)
	near, far := net.Pipe()
	go Accept(t.Context(), far, k2)
	pk, err := crypto.UnmarshalEd25519PrivateKey(k1)
	must(t, err)
	hop, err := noise.New(noise.ID, pk, nil)
	must(t, err)
	id, err := PeerID(p2)
	must(t, err)
	if _, err := hop.SecureOutbound(t.Context(), near, id); err == nil {
		t.Fatal("a libp2p host completed the handshake")
	}
}

func TestHandshakeTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k2, p2 := key(2)
		start := time.Now()
		_, far := net.Pipe()
		_, _, err := Accept(t.Context(), far, k2)
		wantErr(t, err, ErrHandshake)
		if d := time.Since(start); d != HandshakeTimeout {
			t.Fatalf("gave up after %s", d)
		}
		near, _ := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = Secure(ctx, near, k2, p2)
		wantErr(t, err, context.Canceled)
	})
}

// pair returns both ends of a secured channel.
func pair(t *testing.T, there, back rule) (caller, target *channel) {
	t.Helper()
	k1, _ := key(1)
	k2, p2 := key(2)
	a, b, _ := wayIn(there, back)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _, err := Accept(context.Background(), b, k2)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	c, err := Secure(context.Background(), a, k1, p2)
	must(t, err)
	target = (<-accepted).(*channel)
	t.Cleanup(func() { c.Close(); target.Close() })
	return c.(*channel), target
}

// net/http interrupts reads by deadlines whenever it likes; not a byte may be
// lost, wherever in a message the interruption falls.
func TestDeadlinesLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trickle := func(b []byte, _ int) ([]byte, bool) {
			if len(b) > 0 {
				<-time.After(time.Second) // the way in is slow
			}
			return b, true
		}
		caller, target := pair(t, trickle, honest)
		want := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		go func() {
			caller.Write(want)
			caller.CloseWrite()
		}()
		var got []byte
		timeouts := 0
		buf := make([]byte, 777)
		for {
			target.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			n, err := target.Read(buf)
			got = append(got, buf[:n]...)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				timeouts++
				continue
			}
			if err == io.EOF {
				break
			}
			must(t, err)
		}
		if !bytes.Equal(got, want) || timeouts == 0 {
			t.Fatalf("%d bytes of %d, %d timeouts", len(got), len(want), timeouts)
		}
	})
}

func TestCloseEndsBothAndPeerSeesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, target := pair(t, honest, honest)
		must(t, caller.Close())
		if _, err := target.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("peer of a closed channel reads %v", err)
		}
		if _, err := caller.Write([]byte("x")); err == nil {
			t.Fatal("wrote on a closed channel")
		}
	})
}

func TestPrincipalAndPeerID(t *testing.T) {
	_, p := key(7)
	id, err := PeerID(p)
	must(t, err)
	back, err := Principal(id)
	must(t, err)
	if back != p {
		t.Fatalf("%s became %s", p, back)
	}
	_, pub, err := crypto.GenerateSecp256k1Key(nil)
	must(t, err)
	other, err := peer.IDFromPublicKey(pub)
	must(t, err)
	for _, id := range []peer.ID{other, "", "garbage"} {
		_, err := Principal(id)
		wantErr(t, err, ErrNotPrincipal)
	}
}

// Garbage instead of a handshake is an error, never a panic, never a channel.
func FuzzAccept(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0, 0})
	f.Add(append([]byte{0, 32}, make([]byte, 32)...))
	f.Add(append([]byte{0, 32}, bytes.Repeat([]byte{9}, 300)...))
	k, _ := key(2)
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, near)
		go func() {
			near.Write(b)
			near.Close()
		}()
		_, _, err := Accept(context.Background(), far, k)
		wantErr(t, err, ErrHandshake)
	})
}
