// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unicode/utf8"

	cebpf "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// nobody is whom the loader runs as.
const nobody = 65534

// loaded is what a loader says of an object. The descriptors come with it: those of
// the node's own maps, and of a program for each way named.
type loaded struct {
	Ways []way  `json:"ways,omitempty"`
	Err  string `json:"err,omitempty"`
}

// program is an object in the kernel.
type program struct {
	own
	code [ways]*cebpf.Program // nil: it has nothing to say about that way
}

func (p *program) close() {
	for _, c := range p.code {
		c.Close()
	}
	for _, m := range p.all() {
		m.Close()
	}
}

// Command is the argument by which a binary is started as the loader.
const Command = "packet-program"

// Main is the loader, a process of its own for each object: it reads one from its
// standard input, has the kernel verify it, and says on descriptor 3 what came of it.
// Started by [Programs] it has CAP_BPF and no other capability, so that the kernel
// trusts what it loads with no pointer of its own, and no file of anybody's. It returns
// the exit status.
func Main() int {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serve() error {
	for what, most := range map[int]uint64{unix.RLIMIT_DATA: loaderData, unix.RLIMIT_CPU: loaderCPU} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("bounding memory and time: %w", err)
		}
	}
	file := os.NewFile(3, "answer")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("taking the way to answer: %w", err)
	}
	defer conn.Close()
	b, err := io.ReadAll(io.LimitReader(os.Stdin, MaxObject+1))
	if err != nil {
		return fmt.Errorf("reading the object: %w", err)
	}
	p, err := load(b)
	if err != nil {
		return say(conn, loaded{Err: told(err)}, nil)
	}
	defer p.close()
	answer, fds := loaded{}, []int{}
	for _, m := range p.all() {
		fds = append(fds, m.FD())
	}
	for w, c := range p.code {
		if c != nil {
			answer.Ways, fds = append(answer.Ways, way(w)), append(fds, c.FD())
		}
	}
	return say(conn, answer, fds)
}

func say(conn net.Conn, what loaded, fds []int) error {
	b, err := json.Marshal(what)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(b, rights, nil); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

// told is an error for people: of a long one the end, where the reason is.
func told(err error) string {
	var verifier *cebpf.VerifierError
	text := err.Error()
	if errors.As(err, &verifier) {
		text = "the kernel's verifier: " + verifier.Error()
	}
	if len(text) > maxLog {
		text = "…" + text[len(text)-maxLog:]
		for !utf8.ValidString(text) {
			text = "…" + text[len("…")+1:]
		}
	}
	return text
}

// load has the kernel make and verify what an object holds.
func load(b []byte) (*program, error) {
	o, err := read(b)
	if err != nil {
		return nil, err
	}
	made := map[string]*cebpf.Map{}
	defer func() { // the programs keep what they use
		for _, m := range made {
			m.Close()
		}
	}()
	for name, spec := range o.maps {
		if made[name], err = cebpf.NewMap(spec); err != nil {
			return nil, fmt.Errorf("making map %.40q: %w", name, err)
		}
		if spec.Flags&readOnly != 0 {
			if err := made[name].Freeze(); err != nil {
				return nil, fmt.Errorf("closing map %.40q: %w", name, err)
			}
		}
	}
	p := &program{}
	ok := false
	defer func() {
		if !ok {
			p.close()
		}
	}()
	for i, m := range []**cebpf.Map{&p.force, &p.totals, &p.refusals} {
		if *m, err = cebpf.NewMap(&ownSpecs[i]); err != nil {
			return nil, fmt.Errorf("making map %s: %w", ownSpecs[i].Name, err)
		}
	}
	for w, code := range o.code {
		if code == nil {
			continue
		}
		for i := range code {
			if ref := code[i].Reference(); ref != "" {
				if err := code[i].AssociateMap(made[ref]); err != nil {
					return nil, err
				}
			}
		}
		// The attach type of the way in leaves no verdicts but 0 and 1; a program so
		// loaded may be attached to either.
		p.code[w], err = cebpf.NewProgramWithOptions(&cebpf.ProgramSpec{Name: "packet_" + way(w).String(), Type: cebpf.CGroupSKB,
			AttachType: cebpf.AttachCGroupInetIngress, License: "GPL", Instructions: wrap(code, way(w), p.own)}, cebpf.ProgramOptions{})
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrProgram, way(w), err)
		}
	}
	ok = true
	return p, nil
}

// start has a loader make a program of an object. An error that is the object's is
// [ErrProgram].
func start(ctx context.Context, argv []string, object []byte) (*program, error) {
	if len(object) > MaxObject {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrProgram, len(object), MaxObject)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, loadLimit, errSlow)
	defer cancel()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket for the loader: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "loader")
	defer theirs.Close()
	file := os.NewFile(uintptr(pair[0]), "loader")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("making a socket for the loader: %w", err)
	}
	defer conn.Close()

	in, feed, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the loader: %w", err)
	}
	defer in.Close()
	var said bounded
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Env, c.Dir, c.Stdin, c.Stderr, c.ExtraFiles = []string{}, "/", in, &said, []*os.File{theirs}
	c.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
		AmbientCaps: []uintptr{unix.CAP_BPF}, Setsid: true, Pdeathsig: unix.SIGKILL,
	}
	runtime.LockOSThread() // the parent by whose end it dies
	defer runtime.UnlockOSThread()
	if err := c.Start(); err != nil {
		feed.Close()
		return nil, fmt.Errorf("starting the loader: %w", err)
	}
	go func() {
		_, _ = feed.Write(object) // a loader that is gone says so by its end
		feed.Close()
	}()
	end := c.Wait()
	if err := theirs.Close(); err != nil {
		return nil, err
	}
	p, err := hear(conn.(*net.UnixConn))
	switch {
	case ctx.Err() != nil && p == nil:
		if why := context.Cause(ctx); !errors.Is(why, errSlow) {
			return nil, fmt.Errorf("loading a packet program: %w", why)
		}
		return nil, fmt.Errorf("%w: %w", ErrProgram, errSlow)
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: the loader ended without an answer: %w: %s", ErrProgram, end, said)
	}
	return p, err
}

// hear takes a loader's answer.
func hear(conn *net.UnixConn) (*program, error) {
	b, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*(len(ownSpecs)+ways)))
	n, oob, _, _, err := conn.ReadMsgUnix(b, rights)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("hearing the loader: %w", err)
	}
	var fds []int
	if oob > 0 {
		list, err := unix.ParseSocketControlMessage(rights[:oob])
		if err != nil {
			return nil, fmt.Errorf("taking what was loaded: %w", err)
		}
		for _, m := range list {
			got, err := unix.ParseUnixRights(&m)
			if err != nil {
				return nil, fmt.Errorf("taking what was loaded: %w", err)
			}
			fds = append(fds, got...)
		}
	}
	var answer loaded
	err = json.Unmarshal(b[:n], &answer)
	switch {
	case err == nil && answer.Err != "":
		err = fmt.Errorf("%w: %s", ErrProgram, answer.Err)
	case err == nil && (len(fds) != len(ownSpecs)+len(answer.Ways) || len(answer.Ways) == 0):
		err = fmt.Errorf("%d descriptors from the loader", len(fds))
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, err
	}
	return adopt(answer.Ways, fds)
}

// adopt makes a program of descriptors, which are its own from then on.
func adopt(order []way, fds []int) (p *program, err error) {
	p = &program{}
	var errs []error
	maps := []**cebpf.Map{&p.force, &p.totals, &p.refusals}
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		if i < len(maps) {
			*maps[i], err = cebpf.NewMapFromFD(fd)
			errs = append(errs, err)
			continue
		}
		w := order[i-len(maps)]
		if w != out && w != in || p.code[w] != nil {
			err = errors.Join(fmt.Errorf("a program for way %d", w), unix.Close(fd))
		} else {
			p.code[w], err = cebpf.NewProgramFromFD(fd)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		p.close()
		return nil, fmt.Errorf("taking what was loaded: %w", err)
	}
	return p, nil
}

// bounded keeps the beginning of what is written.
type bounded []byte

func (b *bounded) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), maxLog-len(*b))]...)
	return len(p), nil
}
