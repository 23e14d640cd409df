// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	cebpf "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
	"croft/ebpf/ebpftest"
	"croft/lease/leasetest"
)

// A life is what a daemon does for one sliver, in a process that can be killed.
type life struct {
	Tag    string
	At     ebpf.Port
	Limits ebpf.Limits
	Store  string
}

const lifeEnv = "CROFT_TEST_LIFE"

func TestMain(m *testing.M) {
	text := os.Getenv(lifeEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var l life
	err := json.Unmarshal([]byte(text), &l)
	if err == nil {
		err = l.run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run attaches, has its parent send, drains into the record, detaches, and drains
// once more. From when it is open it asks its parent before each system call that
// changes or reads anything outside of it.
func (l life) run(ctx context.Context) error {
	g, err := Open(Config{Tag: l.Tag})
	if err != nil {
		return err
	}
	s, err := store.Open(l.Store, store.Options{Node: leasetest.Who("n1"), Reserve: -1})
	if err != nil {
		return err
	}
	if err := askBefore(unix.SYS_BPF, unix.SYS_SENDTO, unix.SYS_PWRITE64, unix.SYS_FSYNC, unix.SYS_FTRUNCATE, unix.SYS_UNLINKAT); err != nil {
		return fmt.Errorf("filtering system calls: %w", err)
	}
	if err := g.Attach(ctx, l.At, l.Limits); err != nil {
		return err
	}
	fmt.Println("attached")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	if err := g.Drain(ctx, s.Append); err != nil {
		return err
	}
	if err := g.Detach(ctx, l.At.Sliver); err != nil {
		return err
	}
	return g.Drain(ctx, s.Append)
}

// askBefore has every thread wait for the parent before these system calls, and
// gives it the other end, by file descriptor 3.
func askBefore(calls ...uint32) error {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for i, nr := range calls {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: uint8(len(calls) - i), Jf: 0})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0)
}

// notice is the kernel's struct seccomp_notif, and answer its seccomp_notif_resp.
type notice struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// live runs a life that is killed before its n-th system call, and reports whether
// it came to its end first. Attached is called when it is.
func (l life) live(t *testing.T, n int, attached func()) (whole bool) {
	t.Helper()
	text, err := json.Marshal(l)
	must(t, err)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), lifeEnv+"="+string(text))
	child.ExtraFiles, child.Stderr = []*os.File{theirs}, os.Stderr
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	theirs.Close()
	defer func() {
		child.Process.Kill()
		err := child.Wait()
		if whole = err == nil; !whole && child.ProcessState.Exited() {
			t.Fatalf("kill before call %d: the life failed: %v", n, err)
		}
	}()
	listener := receive(t, pair[0])
	if listener < 0 {
		return false // it failed
	}
	defer unix.Close(listener)
	raised, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(raised)
		defer child.Process.Kill() // whom nobody tells to go on
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			return
		}
		attached()
		fmt.Fprintln(in, "go on")
		<-over
	}()
	defer func() { child.Process.Kill(); close(over); <-raised }()
	for ; ; n-- {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			n++
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if poll[0].Revents&unix.POLLIN == 0 { // nobody is there who could ask
			return
		}
		var got notice
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&got))); errno != 0 {
			if errno == unix.EINTR || errno == unix.ENOENT { // or a signal took the asker out of it
				n++
				continue
			}
			t.Fatal(errno)
		}
		if n == 0 {
			return // and the deferred kill comes before the call is made
		}
		reply := answer{id: got.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&reply))); errno != 0 && errno != unix.ENOENT {
			t.Fatal(errno)
		}
	}
}

// receive takes a file descriptor from a socket, or none from one that is closed.
func receive(t *testing.T, socket int) int {
	t.Helper()
	space := make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := unix.Recvmsg(socket, make([]byte, 1), space, unix.MSG_CMSG_CLOEXEC)
	must(t, err)
	if n == 0 {
		return -1
	}
	all, err := unix.ParseSocketControlMessage(space[:m])
	must(t, err)
	fds, err := unix.ParseUnixRights(&all[0])
	must(t, err)
	return fds[0]
}

// A daemon is killed with SIGKILL before every single system call of attaching,
// draining into the record and detaching, and the next goes on from there, to be
// killed one call later. Between them packets are sent all the same. Every one that
// arrives is in the record, exactly once; what is dropped is in no row, every epoch
// balances and none is missing; and at the end nothing is left of the sliver.
func TestRootKilledBeforeEveryCall(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred daemons")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := newWorld(t, Config{})
	at, own, _ := w.NewPort("s")
	l := life{Tag: w.cfg.Tag, At: at, Limits: w.limits(own), Store: filepath.Join(t.TempDir(), "audit")}
	must(t, w.guard.Close())
	arrived, raised := 0, false
	send := func() { arrived += w.out(at, own, 2) }
	up := func() { // as a daemon does, which raises the link when the guard is there
		w.Up(at)
		raised = true
		send()
	}
	n := 0
	for ; !l.live(t, n, up); n++ {
		if raised {
			send() // the link is as the dead daemon left it
		}
	}
	if n < 40 {
		t.Errorf("only %d system calls", n)
	}
	s, err := store.Open(l.Store, store.Options{Node: leasetest.Who("n1"), Reserve: -1})
	must(t, err)
	defer s.Close()
	recorded := uint64(0)
	for row, err := range s.Rows(t.Context(), audit.Flows{Until: 1 << 62}) {
		must(t, err)
		if row.Dst == ebpftest.Remote && row.Src == netip.AddrPortFrom(own.Source4, 5000) && row.Sliver == "s" {
			recorded += row.Packets
		}
	}
	alarms, err := s.Alarms()
	must(t, err)
	if arrived < 2 || recorded != uint64(arrived) || len(alarms) > 0 {
		t.Errorf("%d arrived, %d are recorded, alarms %+v", arrived, recorded, alarms)
	}
	t.Logf("killed before each of %d system calls; %d packets arrived", n, arrived)

	w.guard, err = Open(w.cfg)
	must(t, err)
	t.Cleanup(func() { w.guard.Close() })
	must(t, w.guard.Drain(t.Context(), func(ebpf.Epoch) error { return nil }))
	o := w.guard.objects
	for name, m := range map[string]*cebpf.Map{"limits": o.Limits, "meters": o.Meters, "tenures": o.Tenures, "pages": o.Pages, "fans": o.Fans} {
		var k, v []byte
		if all := m.Iterate(); all.Next(&k, &v) || all.Err() != nil {
			t.Errorf("%s is not empty, %v", name, all.Err())
		}
	}
	if left, err := os.ReadDir(filepath.Join(w.guard.dir, links)); err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
		t.Errorf("links left: %v, %v", left, err)
	}
}
