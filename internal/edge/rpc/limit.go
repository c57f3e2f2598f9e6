package rpc

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxClients is how many clients' rates are kept; of more, those that asked longest
// ago start anew.
const maxClients = 4096

// limiter bounds the requests of each client a second.
type limiter struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	clients map[string]*list.Element
	recent  *list.List // of *clientRate, the last to ask in front
}

type clientRate struct {
	client string
	*rate.Limiter
}

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: burst, clients: map[string]*list.Element{}, recent: list.New()}
}

// allow takes n requests from what a client has left.
func (l *limiter) allow(client string, n int) bool {
	l.mu.Lock()
	e := l.clients[client]
	if e == nil {
		if l.recent.Len() >= maxClients {
			last := l.recent.Back()
			delete(l.clients, last.Value.(*clientRate).client)
			l.recent.Remove(last)
		}
		e = l.recent.PushFront(&clientRate{client, rate.NewLimiter(l.rate, l.burst)})
		l.clients[client] = e
	}
	l.recent.MoveToFront(e)
	c := e.Value.(*clientRate)
	l.mu.Unlock()
	return c.AllowN(time.Now(), n)
}

// clientOf names the client behind an address: its IP, of IPv6 the network that one
// customer usually has.
func clientOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// bounded is a listener that closes what comes beyond a number of open connections.
// Waiting instead would let few slow clients keep everybody out.
type bounded struct {
	net.Listener
	slots chan struct{}
	perIP int

	mu   sync.Mutex
	open map[string]int // by client
}

func newBounded(l net.Listener, most int) *bounded {
	return &bounded{Listener: l, slots: make(chan struct{}, most), perIP: max(most/2, 1), open: map[string]int{}}
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := clientOf(c.RemoteAddr().String())
		if !b.enter(client) {
			_ = c.Close()
			continue
		}
		return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { b.leave(client) })}, nil
	}
}

// enter takes a place; one client gets half of them at most.
func (b *bounded) enter(client string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[client] >= b.perIP {
		return false
	}
	select {
	case b.slots <- struct{}{}:
		b.open[client]++
		return true
	default:
		return false
	}
}

func (b *bounded) leave(client string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	<-b.slots
	if b.open[client]--; b.open[client] == 0 {
		delete(b.open, client)
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
