package netlab

import (
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Counts of packets.
type Counts struct {
	Carried, Lost, Cut, Dropped uint64
}

// Path is how packets travel from one host to another.
type Path struct {
	Latency time.Duration // one way
	Loss    float64       // 0 to 1
}

const (
	maxHosts = 64
	// queued is how many packets a path holds: 4096 of full size are 6 MB.
	queued = 4096
)

// router carries packets between hosts.
type router struct {
	hosts []*host
	paths [][]*path // by source and destination
	work  sync.WaitGroup
	done  chan struct{}

	carried, lost, cut, dropped atomic.Uint64
}

// path is one direction between two hosts.
type path struct {
	mu     sync.Mutex
	shape  Path
	cut    bool
	chance *rand.Rand
	queue  chan delayed
}

type delayed struct {
	at     time.Time
	packet []byte
}

func newRouter(hosts []*host) *router {
	r := &router{hosts: hosts, done: make(chan struct{})}
	for i := range hosts {
		row := make([]*path, len(hosts))
		for j := range hosts {
			if i == j {
				continue
			}
			p := &path{chance: rand.New(rand.NewPCG(uint64(i), uint64(j))), queue: make(chan delayed, queued)}
			row[j] = p
			r.work.Go(func() { r.deliver(p, hosts[j].tun) })
		}
		r.paths = append(r.paths, row)
	}
	for i, h := range hosts {
		r.work.Go(func() { r.read(i, h.tun) })
	}
	return r
}

// read takes the packets that leave a host.
func (r *router) read(from int, tun *os.File) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := tun.Read(buffer)
		if err != nil {
			return // closed
		}
		r.route(from, buffer[:n])
	}
}

// route queues a packet on the path to its destination. What is not IPv4 to a host of
// ours, such as multicast, goes nowhere.
func (r *router) route(from int, packet []byte) {
	const version, header, destination = 4, 20, 16
	if len(packet) < header || packet[0]>>4 != version {
		return
	}
	to := slices.IndexFunc(r.hosts, func(h *host) bool { return h.ip == [4]byte(packet[destination:destination+4]) })
	if to < 0 || to == from {
		return
	}
	p := r.paths[from][to]
	p.mu.Lock()
	cut, lost, latency := p.cut, p.chance.Float64() < p.shape.Loss, p.shape.Latency
	p.mu.Unlock()
	switch {
	case cut:
		r.cut.Add(1)
		return
	case lost:
		r.lost.Add(1)
		return
	}
	select {
	case p.queue <- delayed{time.Now().Add(latency), slices.Clone(packet)}:
	default:
		r.dropped.Add(1)
	}
}

// deliver writes the packets of a path when it is their time.
func (r *router) deliver(p *path, tun *os.File) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case d := <-p.queue:
			if wait := time.Until(d.at); wait > 0 {
				timer.Reset(wait)
				select {
				case <-timer.C:
				case <-r.done:
					return
				}
			}
			if _, err := tun.Write(d.packet); err == nil {
				r.carried.Add(1)
			}
		case <-r.done:
			return
		}
	}
}

func (r *router) each(f func(i, j int, p *path)) {
	for i, row := range r.paths {
		for j, p := range row {
			if p != nil {
				p.mu.Lock()
				f(i, j, p)
				p.mu.Unlock()
			}
		}
	}
}

func (r *router) shape(s Path, spared []string) {
	r.each(func(i, j int, p *path) {
		if slices.Contains(spared, r.hosts[i].name) || slices.Contains(spared, r.hosts[j].name) {
			p.shape = Path{}
			return
		}
		p.shape = s
	})
}

func (r *router) split(groups [][]string) {
	of := func(host int) int {
		return slices.IndexFunc(groups, func(g []string) bool { return slices.Contains(g, r.hosts[host].name) })
	}
	r.each(func(i, j int, p *path) {
		a, b := of(i), of(j)
		p.cut = a >= 0 && b >= 0 && a != b
	})
}

func (r *router) counts() Counts {
	return Counts{Carried: r.carried.Load(), Lost: r.lost.Load(), Cut: r.cut.Load(), Dropped: r.dropped.Load()}
}

// close ends all that carries; the devices are closed.
func (r *router) close() {
	close(r.done)
	r.work.Wait()
}
