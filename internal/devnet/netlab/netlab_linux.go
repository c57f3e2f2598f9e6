package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	deviceName = "alys0"
	mtu        = 1500

	tunSetIff = 0x400454ca // linux/if_tun.h
	iffTun    = 0x0001
	iffNoPI   = 0x1000

	dialLimit = 20 * time.Second // a lost SYN is sent again after 1, 3, 7 and 15 seconds
)

// host is a namespace: the thread that is in it, and the device that leads out.
type host struct {
	name string
	ip   [4]byte
	work chan func()
	tun  *os.File
}

// Lab is a network of hosts.
type Lab struct {
	hosts  map[string]*host
	router *router
	once   sync.Once
}

// Open makes a host for each name. The error says what this machine does not allow.
func Open(names []string) (*Lab, error) {
	if len(names) > maxHosts {
		return nil, fault.New(fault.Invalid, "%d hosts: at most %d", len(names), maxHosts)
	}
	l := &Lab{hosts: make(map[string]*host)}
	var hosts []*host
	for i, name := range names {
		h := &host{name: name, ip: address(i), work: make(chan func())}
		if err := h.enter(); err != nil {
			return nil, errors.Join(fault.Wrap(fault.Invalid, err, "network of "+name), l.Close())
		}
		l.hosts[name] = h
		hosts = append(hosts, h)
	}
	l.router = newRouter(hosts)
	return l, nil
}

// address of host i.
func address(i int) [4]byte { return [4]byte{10, 77, 0, byte(i + 1)} }

// enter starts the host's thread. A goroutine that ends while it is locked to its thread
// ends the thread, and with it and its processes the namespace.
func (h *host) enter() error {
	entered := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := h.build()
		entered <- err
		if err != nil {
			return
		}
		for f := range h.work {
			f()
		}
	}()
	return <-entered
}

// build leaves for a new namespace and sets it up.
func (h *host) build() (err error) {
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return fmt.Errorf("no network namespace: %w", err)
	}
	if h.tun, err = openTun(); err != nil {
		return fmt.Errorf("no TUN device: %w", err)
	}
	ip := net.IP(h.ip[:]).String()
	for _, args := range []string{
		"link set lo up", "addr add " + ip + "/24 dev " + deviceName, fmt.Sprintf("link set %s mtu %d up", deviceName, mtu),
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("ip %s: %w: %s", args, err, out), h.tun.Close())
		}
	}
	return nil
}

func openTun() (*os.File, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var request struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], deviceName)
	request.flags = iffTun | iffNoPI
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), tunSetIff, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return nil, errors.Join(errno, syscall.Close(fd))
	}
	return os.NewFile(uintptr(fd), deviceName), nil
}

// IP is the address of a host.
func (l *Lab) IP(name string) string {
	h := l.hosts[name]
	if h == nil {
		return ""
	}
	return net.IP(h.ip[:]).String()
}

// Do runs f on the host's thread: processes that it starts and sockets that it opens are
// on that host. f must not start goroutines for that.
func (l *Lab) Do(name string, f func() error) error {
	h := l.hosts[name]
	if h == nil {
		return fault.New(fault.Invalid, "there is no host %q", name)
	}
	done := make(chan error, 1)
	h.work <- func() { done <- f() }
	return <-done
}

// Dial returns a function that connects from a host, to an IP address and port.
func (l *Lab) Dial(name string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		ctx, cancel := context.WithTimeout(ctx, dialLimit)
		defer cancel()
		// One address is dialled on the goroutine that asks.
		failed := l.Do(name, func() error {
			conn, err = new(net.Dialer).DialContext(ctx, network, addr)
			return nil
		})
		return conn, errors.Join(err, failed)
	}
}

// Close ends the network. Processes that run on it lose it.
func (l *Lab) Close() error {
	var err error
	l.once.Do(func() {
		for _, h := range l.hosts {
			err = errors.Join(err, h.tun.Close())
			close(h.work)
		}
		if l.router != nil {
			l.router.close()
		}
	})
	return err
}

// Shape gives every path between hosts a shape, but those from and to the spared.
func (l *Lab) Shape(p Path, spared ...string) { l.router.shape(p, spared) }

// Split lets packets through only between hosts of one group, and between hosts that are
// in none and all others.
func (l *Lab) Split(groups ...[]string) { l.router.split(groups) }

// Heal ends a split.
func (l *Lab) Heal() { l.router.split(nil) }

// Counts are packets carried, lost by shape or split, and dropped by a full path.
func (l *Lab) Counts() Counts { return l.router.counts() }
