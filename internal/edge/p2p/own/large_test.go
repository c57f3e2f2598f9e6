package own_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

func sha(b []byte) [32]byte { return sha256.Sum256(b) }

// A block of a megabyte of calldata goes from A by B to C, though A and C do not know each
// other, and each takes it once. What a node has in its pool is not sent.
func TestLargeBlockInLine(t *testing.T) {
	a, b, c := start(t, "a", nil), start(t, "b", nil), start(t, "c", nil)
	meet(t, a, b)
	meet(t, b, c)
	raw := blocks(1, 1<<20)[0]
	signed, root, _ := decode(raw)
	c.source.pool = map[common.Hash][]byte{}
	for _, tx := range signed.Block.Payload.Transactions[:60] {
		c.source.pool[crypto.Keccak256Hash(tx)] = tx
	}
	if err := a.net.Publish(signed, root, raw); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{b, c} {
		until(t, "the block at "+n.name, func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			return bytes.Equal(n.taken[root], raw)
		})
	}
	if err := a.net.Publish(signed, root, raw); err != nil { // once more is nothing
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d transactions", len(raw), len(signed.Block.Payload.Transactions))
	for _, n := range []*node{a, b, c} {
		n.mu.Lock()
		if len(n.log) > 2 { // "joined" once or twice
			t.Errorf("%s notes %s", n.name, n.log)
		}
		n.mu.Unlock()
	}
	if len(a.taken) != 0 {
		t.Error("the block came back")
	}
}

// A block of 4 MiB of calldata fits; one that is refused is passed on to nobody.
func TestLargeBlockRefused(t *testing.T) {
	a, b, c := start(t, "a", nil), start(t, "b", nil), start(t, "c", nil)
	meet(t, a, b)
	meet(t, b, c)
	chain := blocks(2, 4<<20)
	_, bad, _ := decode(chain[0])
	b.refuse = func(root common.Hash) error {
		if root == bad {
			b.log = append(b.log, "refused")
			return errors.New("not signed")
		}
		b.taken[root] = chain[1]
		return nil
	}
	for _, raw := range chain {
		signed, root, _ := decode(raw)
		if err := a.net.Publish(signed, root, raw); err != nil {
			t.Fatal(err)
		}
	}
	_, good, _ := decode(chain[1])
	until(t, "the good block at c", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.taken[good] != nil
	})
	if c.taken[bad] != nil {
		t.Error("a refused block was passed on")
	}
}
