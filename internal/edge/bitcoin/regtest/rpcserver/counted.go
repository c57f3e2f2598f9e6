package rpcserver

import (
	"net"
	"sync"
)

// counted hands out at most so many connections at once.
type counted struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newCounted(l net.Listener, most int) *counted {
	return &counted{Listener: l, places: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *counted) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &place{Conn: c, leave: l.places}, nil
}

// Close implements net.Listener.
func (l *counted) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// place is a connection that gives its place back.
type place struct {
	net.Conn
	leave chan struct{}
	once  sync.Once
}

// Close implements net.Conn.
func (p *place) Close() error {
	p.once.Do(func() { <-p.leave })
	return p.Conn.Close()
}
