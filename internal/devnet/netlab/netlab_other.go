//go:build !linux

package netlab

import (
	"context"
	"net"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Lab is a network of hosts, which this system has none of.
type Lab struct{}

// Counts of packets.
type Counts struct{ Carried, Lost, Cut, Dropped uint64 }

// Path is how packets travel from one host to another.
type Path struct {
	Latency time.Duration
	Loss    float64
}

func missing() error { return fault.New(fault.Invalid, "network namespaces are Linux's") }

// Open says that this system has no namespaces.
func Open([]string) (*Lab, error) { return nil, missing() }

// IP is empty.
func (*Lab) IP(string) string { return "" }

// Do fails.
func (*Lab) Do(string, func() error) error { return missing() }

// Dial fails.
func (*Lab) Dial(string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return nil, missing() }
}

// Close does nothing.
func (*Lab) Close() error { return nil }

// Shape does nothing.
func (*Lab) Shape(Path, ...string) {}

// Split does nothing.
func (*Lab) Split(...[]string) {}

// Heal does nothing.
func (*Lab) Heal() {}

// Counts is empty.
func (*Lab) Counts() Counts { return Counts{} }
