package keeper

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const longestPath = 100 // bytes that every platform's sockaddr_un takes

// ListenUnix opens a socket with mode 0600. Connections of other users than this
// process's and root are closed where the system says whose they are. A socket file at
// which nobody listens is replaced.
func ListenUnix(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > longestPath {
		return nil, fault.New(fault.Invalid, "socket path %s has %d bytes, at most %d are possible", path, len(path), longestPath)
	}
	if err := clearStale(ctx, path); err != nil {
		return nil, err
	}
	// On Linux the mode of the socket before bind becomes that of the file, so there is
	// no moment in which others could connect.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "signer socket")
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Fatal, err, "protecting the signer socket"), l.Close())
	}
	return ownListener{l}, nil
}

func clearStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fault.Wrap(fault.Invalid, err, "signer socket")
	case info.Mode().Type() != fs.ModeSocket:
		return fault.New(fault.Invalid, "%s is no socket; move it away, the signer needs the place", path)
	}
	d := net.Dialer{Timeout: time.Second}
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close()
		return fault.New(fault.Invalid, "another signer answers at %s; stop it first", path)
	}
	return fault.Wrap(fault.Invalid, os.Remove(path), "removing the signer socket of a killed process")
}

// ownListener takes connections of this process's user and of root.
type ownListener struct{ net.Listener }

// Accept implements net.Listener.
func (l ownListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, known := peerUser(conn); !known || uid == 0 || uid == os.Geteuid() {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// limit closes connections beyond a number.
func limit(l net.Listener, most int) net.Listener {
	return &limited{Listener: l, room: make(chan struct{}, most)}
}

type limited struct {
	net.Listener
	room chan struct{}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.room <- struct{}{}:
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { <-l.room })}, nil
		default:
			_ = conn.Close()
		}
	}
}

type counted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
