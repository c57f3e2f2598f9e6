package keeper

import (
	"net"
	"syscall"
)

// nobody is no user's number.
const nobody = -1

// peerUser returns the user of the process at the other end of a socket; nobody when the
// system does not say.
func peerUser(conn net.Conn) (uid int, known bool) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nobody, true
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nobody, true
	}
	uid = nobody
	_ = raw.Control(func(fd uintptr) {
		if peer, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = int(peer.Uid)
		}
	})
	return uid, true
}
