package host

import (
	"context"
	"errors"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/multiformats/go-multiaddr"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Dialling. Legacy waits 2^n seconds, n up to 12, and after one success dials the same
// live peer every five seconds; here a pause ends at a minute, and nobody is dialled
// who is connected. (wire.md 9.1, P12)
const (
	dialTick      = 500 * time.Millisecond
	firstPause    = time.Second
	longestPause  = time.Minute
	dialsAtOnce   = 8
	maxTargets    = 512 // of the address book and of this network; boot addresses count no more
	addressMemory = 10 * time.Minute
)

// source says who wants a target to be dialled.
type source uint8

const (
	fromBoot  source = iota // the operator, for ever
	fromKnown               // the address book
	fromLocal               // found on this network
)

// target is an address to be connected to.
type target struct {
	address multiaddr.Multiaddr // without a peer id
	id      peer.ID             // who is expected, or was found there; may be empty
	named   bool                // id was given; else it was asked for, and may change
	source  source
	fails   int
	next    time.Time
	dialing bool
	self    bool // it is this node's own address
}

// dialer keeps the connections that are wanted.
type dialer struct {
	h     *Host
	now   func() time.Time
	slots chan struct{}

	mu      sync.Mutex
	targets map[string]*target // by address
}

// splitAddress takes the peer id off a multiaddr. The id is empty when there is none.
func splitAddress(text string) (multiaddr.Multiaddr, peer.ID, error) {
	text = strings.TrimSpace(text)
	whole, err := multiaddr.NewMultiaddr(text)
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "address %q of a peer is no multiaddr such as /ip4/192.0.2.1/tcp/55444: %w", text, err)
	}
	address, id := peer.SplitAddr(whole)
	if address == nil {
		return nil, "", fault.New(fault.Invalid, "address %q of a peer has a peer id only: it says not where", text)
	}
	return address, id, nil
}

func newDialer(h *Host, boot []string) (*dialer, error) {
	d := &dialer{h: h, now: time.Now, slots: make(chan struct{}, dialsAtOnce), targets: map[string]*target{}}
	for _, text := range boot {
		address, id, err := splitAddress(text)
		if err != nil {
			return nil, err
		}
		d.add(address, id, fromBoot)
	}
	return d, nil
}

// add takes an address to be dialled. One that is there already stays as it is, unless
// its peer id is another now.
func (d *dialer) add(address multiaddr.Multiaddr, id peer.ID, from source) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := address.String()
	if t := d.targets[key]; t != nil {
		if id != "" && t.id != id {
			t.id, t.named, t.fails, t.next, t.self = id, true, 0, time.Time{}, false
		}
		t.source = min(t.source, from)
		return
	}
	if from == fromBoot || d.count() < maxTargets {
		d.targets[key] = &target{address: address, id: id, named: id != "", source: from}
	}
}

// count is the number of targets that are not the operator's.
func (d *dialer) count() (n int) {
	for _, t := range d.targets {
		if t.source != fromBoot {
			n++
		}
	}
	return n
}

// keep makes the address book's targets those listed.
func (d *dialer) keep(listed map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, t := range d.targets {
		if t.source == fromKnown && !listed[key] {
			delete(d.targets, key)
		}
	}
}

// run dials what is due until ctx ends.
func (d *dialer) run(ctx context.Context) {
	tick := time.NewTicker(dialTick)
	defer tick.Stop()
	var dials sync.WaitGroup
	defer dials.Wait()
	for {
		for _, t := range d.due() {
			select {
			case d.slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			dials.Go(func() {
				defer func() { <-d.slots }()
				d.dial(ctx, t)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// due returns the targets whose time has come, marked as being dialled.
func (d *dialer) due() []*target {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, full := d.now(), len(d.h.net.Network().Peers()) >= d.h.opt.MaxPeers
	var out []*target
	for _, t := range d.targets {
		switch {
		case t.self || t.dialing || now.Before(t.next):
		case t.id != "" && d.connected(t.id):
			t.fails = 0
		case full && t.source != fromBoot && !d.h.net.ConnManager().IsProtected(t.id, memberTag):
		default:
			t.dialing = true
			out = append(out, t)
		}
	}
	return out
}

func (d *dialer) connected(id peer.ID) bool {
	return d.h.net.Network().Connectedness(id) == network.Connected
}

// dial connects to one target and says when it is next looked at.
func (d *dialer) dial(ctx context.Context, t *target) {
	id, err := d.reach(ctx, t)
	if err != nil {
		d.h.log.Debug("peer is not reached", "address", t.address.String(), "attempt", t.fails+1, "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t.dialing = false
	if id != "" {
		t.id = id
	}
	t.self = t.id == d.h.net.ID()
	if err == nil {
		if t.source == fromBoot {
			d.h.net.ConnManager().Protect(id, bootTag)
		}
		t.fails, t.next = 0, d.now().Add(firstPause)
		return
	}
	t.fails++
	if other, ok := errors.AsType[sec.ErrPeerIDMismatch](err); ok && t.source != fromBoot && t.fails == 1 {
		// The address book outlives the ids of legacy nodes. Whom the operator named is
		// meant, and nobody else. (wire.md 9.1)
		t.id, t.named, t.next = other.Actual, false, time.Time{}
		return
	}
	t.next = d.now().Add(pause(t.fails, t.address.String()))
	if !t.named {
		t.id = "" // legacy has another id after each restart (wire.md 9.1)
	}
}

// pause doubles from a second to a minute. Nodes that lost the same peer do not all
// come back at the same moment: up to a quarter less, by address and attempt.
func pause(fails int, address string) time.Duration {
	p := longestPause
	if shift := fails - 1; shift < 6 {
		p = min(firstPause<<shift, longestPause)
	}
	h := fnv.New32a()
	_, _ = h.Write(append([]byte(address), byte(fails)))
	return p - p*time.Duration(h.Sum32()%256)/1024
}

// reach connects and returns whom to.
func (d *dialer) reach(ctx context.Context, t *target) (peer.ID, error) {
	id := t.id
	if id == "" {
		if d.h.gater.addressBanned(t.address) {
			return "", fault.New(fault.Temporary, "address %s is banned", t.address)
		}
		var err error
		if id, err = askID(ctx, d.h.opt.Key, t.address); err != nil {
			return "", err
		}
	}
	if id == d.h.net.ID() || d.connected(id) {
		return id, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d.h.net.Peerstore().AddAddr(id, t.address, peerstore.TempAddrTTL)
	err := d.h.net.Connect(ctx, peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{t.address}})
	return id, fault.Wrap(fault.Temporary, err, "connecting to "+t.address.String())
}

// Known is an entry of the address book. A member's connection is kept when others
// are let go.
type Known struct {
	ID      peer.ID // may be empty
	Address string  // multiaddr
	Member  bool
}

// Guide replaces the bans and the address book: whoever is banned is disconnected, and
// whoever is known is dialled. An entry that cannot be read is left out.
func (h *Host) Guide(bans []Ban, known []Known) {
	h.gater.set(bans)
	for _, c := range h.net.Network().Conns() {
		if h.gater.peerBanned(c.RemotePeer()) || h.gater.addressBanned(c.RemoteMultiaddr()) {
			_ = c.Close() // it is gone, or on its way
		}
	}
	listed := make(map[string]bool, len(known))
	for _, k := range known {
		address, id, err := splitAddress(k.Address)
		if err != nil {
			h.log.Warn("entry of the address book is left out", "error", err)
			continue
		}
		if k.ID != "" {
			id = k.ID
		}
		listed[address.String()] = true
		if id != "" {
			if k.Member {
				Protect(h.net, id)
			} else {
				unprotect(h.net, id)
			}
		}
		h.dialer.add(address, id, fromKnown)
	}
	h.dialer.keep(listed)
}
