package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// consoleLines bounds what waits for a slow reader of stdout. Lines beyond it
// are counted and left out: the node never waits for its terminal.
const consoleLines = 4096

// console prints the blocks of a running node, one line each.
type console struct {
	lines chan string
	done  chan struct{}

	mu        sync.Mutex
	finalized uint64
	dropped   uint64
	closed    bool
}

func newConsole(w io.Writer) *console {
	c := &console{lines: make(chan string, consoleLines), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		for line := range c.lines {
			if _, err := io.WriteString(w, line); err != nil {
				for range c.lines { // nobody reads any more
				}
				return
			}
		}
	}()
	return c
}

// close prints what waits.
func (c *console) close() {
	c.mu.Lock()
	c.closed = true
	close(c.lines)
	c.mu.Unlock()
	<-c.done
}

// started prints from where the node goes on.
func (c *console) started(s node.Status, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finalized = s.Finalized.Height
	if s.Journal.Durable == 0 {
		c.line("start new chain, ready in %s", took.Round(time.Millisecond))
		return
	}
	c.line("start head %d %s finalized=%d journal %d, recovered in %s",
		s.Head.Height, s.Head.Hash, s.Finalized.Height, s.Journal.Durable, took.Round(time.Millisecond))
}

// fact takes a fact of the node; it never blocks.
func (c *console) fact(f node.Fact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := f.Message.(type) {
	case *message.BlockConnected:
		if m.Number == 0 {
			return
		}
		carrier := ""
		if m.Carrier {
			carrier = " auxpow"
		}
		c.line("block %d %s slot %d txs %d finalized=%d%s", m.Number, m.Root.Hex(), m.Slot, m.Transactions, c.finalized, carrier)
	case *message.BlockReverted:
		c.line("reverted %d %s", m.Number, m.Root.Hex())
	case *message.BlockFinalized:
		c.finalized = m.Number
		c.line("finalized %d %s by AuxPoW in block %d bits %08x", m.Number, m.Root.Hex(), m.CarrierNumber, m.Bits)
	default:
		c.peg(m)
	}
}

func (c *console) line(format string, args ...any) {
	text := fmt.Sprintf(format+"\n", args...)
	if c.closed {
		return
	}
	if c.dropped > 0 && len(c.lines) < consoleLines/2 {
		text = fmt.Sprintf("(%d lines left out)\n", c.dropped) + text
		c.dropped = 0
	}
	select {
	case c.lines <- text:
	default:
		c.dropped++
	}
}
