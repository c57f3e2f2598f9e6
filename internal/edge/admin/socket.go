package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	socketName = "admin.sock"
	// longestPath is what every platform's sockaddr_un takes: 104 bytes on BSD
	// and macOS, 108 on Linux, with some room.
	longestPath = 100
	dialTimeout = 5 * time.Second
)

// SocketPath returns the path of the socket of the node on dataDir, whether a
// node runs or not.
func SocketPath(dataDir string) (string, error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "data directory "+dataDir)
	}
	path := filepath.Join(abs, socketName)
	if len(path) <= longestPath {
		return path, nil
	}
	sum := sha256.Sum256([]byte(abs))
	path = filepath.Join(os.TempDir(), "alys-"+hex.EncodeToString(sum[:16])+".sock")
	if len(path) > longestPath {
		return "", fault.New(fault.Invalid, "socket path %s has %d bytes, at most %d are possible; set TMPDIR to a shorter directory", path, len(path), longestPath)
	}
	return path, nil
}

// listen opens the socket. A socket file at which nobody listens is replaced.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := clearStale(ctx, path); err != nil {
		return nil, err
	}
	// On Linux the mode of the socket before bind becomes that of the file, so
	// there is no moment in which others could connect. Where the call is not
	// supported, Chmod below closes that moment.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "opening the admin socket "+path)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fault.Wrap(fault.Fatal, err, "protecting the admin socket "+path)
	}
	return l, nil
}

func clearStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "looking for the admin socket "+path)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fault.New(fault.Invalid, "%s is no socket; move it away, the node needs the place", path)
	}
	conn, err := dial(ctx, path)
	if err == nil {
		_ = conn.Close()
		return fault.New(fault.Invalid, "another node answers at %s; stop it first", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Fatal, err, "asking who listens at the admin socket "+path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Fatal, err, "removing the admin socket of a killed process")
	}
	return nil
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, "unix", path)
}

// checkOwner refuses a socket that somebody else has put where ours belongs,
// which anybody can do in a directory for temporary files.
func checkOwner(path, dataDir string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fault.New(fault.Invalid, "%s is no socket; move it away and start the node", path)
	}
	dir, err := os.Stat(dataDir)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "data directory")
	}
	socket, ok := info.Sys().(*syscall.Stat_t)
	owner, known := dir.Sys().(*syscall.Stat_t)
	if !ok || !known {
		return nil
	}
	if socket.Uid != 0 && socket.Uid != owner.Uid && int(socket.Uid) != os.Geteuid() {
		return fault.New(fault.Invalid, "socket %s belongs to user %d, the data directory %s to user %d; it is not trusted", path, socket.Uid, dataDir, owner.Uid)
	}
	return nil
}
