//go:build linux

package netlab

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// lab opens a network with an echo server on host b, or skips by name.
func lab(t *testing.T) (*Lab, string) {
	t.Helper()
	l, err := Open([]string{"a", "b", "c"})
	if err != nil {
		t.Skipf("this machine allows no network of namespaces: %v", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var listener net.Listener
	if err := l.Do("b", func() error {
		var err error
		listener, err = net.Listen("tcp", l.IP("b")+":7000")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l, listener.Addr().String()
}

func echo(l *Lab, from, to string, text string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, err := l.Dial(from)(ctx, "tcp", to)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	_, err = io.ReadFull(c, got)
	if err == nil && string(got) != text {
		return io.ErrUnexpectedEOF
	}
	return err
}

func TestHostsTalk(t *testing.T) {
	l, at := lab(t)
	long := string(make([]byte, 1<<20))
	for _, from := range []string{"a", "b", "c"} {
		if err := echo(l, from, at, long, 10*time.Second); err != nil {
			t.Errorf("from %s: %v", from, err)
		}
	}
	if n := l.Counts(); n.Carried < 2*(1<<20)/mtu || n.Lost+n.Cut > 0 {
		t.Errorf("%+v", n)
	}
	// The hosts are on another network than this process.
	outside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	if err := echo(l, "a", outside.Addr().String(), "x", time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("this process reached from a host: %v", err)
	}
}

func TestShape(t *testing.T) {
	l, at := lab(t)
	l.Shape(Path{Latency: 50 * time.Millisecond, Loss: 0.05}, "c")
	for range 8 { // first: what others began may end late, and be lost
		if err := echo(l, "c", at, string(make([]byte, 4096)), 30*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Counts(); n.Lost != 0 {
		t.Errorf("packets of a spared host are lost: %+v", n)
	}
	started := time.Now()
	if err := echo(l, "a", at, "text", 30*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took < 200*time.Millisecond { // a handshake and an echo are two round trips
		t.Errorf("two round trips took %s", took)
	}
	for i := 0; i < 8 || i < 200 && l.Counts().Lost == 0; i++ { // a hundred packets may all be lucky
		if err := echo(l, "a", at, string(make([]byte, 4096)), 30*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Counts(); n.Lost == 0 || n.Lost > n.Carried/5 {
		t.Errorf("%+v", n)
	}
}

func TestSplit(t *testing.T) {
	l, at := lab(t)
	l.Split([]string{"a"}, []string{"b"})
	if err := echo(l, "a", at, "x", 300*time.Millisecond); err == nil {
		t.Error("a reaches b over a cut")
	}
	if err := echo(l, "c", at, "x", 10*time.Second); err != nil {
		t.Errorf("c is in no group: %v", err)
	}
	if n := l.Counts(); n.Cut == 0 {
		t.Errorf("%+v", n)
	}
	l.Heal()
	if err := echo(l, "a", at, "x", 10*time.Second); err != nil {
		t.Errorf("after the cut: %v", err)
	}
}
