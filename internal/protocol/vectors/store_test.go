package vectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// chain is what one member of a legacy network stored.
type chain struct {
	spec      *spec.Chain
	committee *aura.Committee
	blocks    map[common.Hash]*block.Signed
	fees      map[common.Hash]*big.Int
}

func (c *chain) parent(s *block.Signed) *block.Signed { return c.blocks[s.Block.ParentHash] }

// TestChains judges every block of the chains legacy nodes really produced: the
// store's bytes, roots, approvals, slots, proofs, fees and credits.
func TestChains(t *testing.T) {
	for _, name := range []string{"single", "fed3", "crashed"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(vectors.Dir(legacyDir), "chains", name)
			c := openChain(t, dir)
			proofs, single := 0, 0
			for root, s := range c.blocks {
				if err := c.check(s); err != nil {
					t.Errorf("block %d %s: %v", s.Block.Payload.BlockNumber, root, err)
				}
				if s.Block.AuxPowHeader != nil && s.Block.AuxPowHeader.AuxPow != nil {
					proofs++
				}
				if len(s.Block.Payload.Transactions) == 1 {
					single++
				}
			}
			if len(c.blocks) < 30 || proofs == 0 || single == 0 {
				t.Errorf("only %d blocks, %d proofs, %d blocks of one transaction", len(c.blocks), proofs, single)
			}
			t.Logf("%d blocks, %d proofs, %d fee sums checked", len(c.blocks), proofs, single)
			checkAnswers(t, dir, c)
		})
	}
}

// openChain reads a copy of the store, since opening LevelDB writes to it.
func openChain(t *testing.T, dir string) *chain {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "chain.json"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, unknown, err := spec.Parse(data)
	if err != nil || len(unknown) != 0 {
		t.Fatal(err, unknown)
	}
	committee, err := aura.NewCommittee(parsed.Authorities)
	if err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(t.TempDir(), "chain_db")
	if err := os.CopyFS(store, os.DirFS(filepath.Join(dir, "chain_db"))); err != nil {
		t.Fatal(err)
	}
	db, err := leveldb.OpenFile(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := &chain{parsed, committee, make(map[common.Hash]*block.Signed), make(map[common.Hash]*big.Int)}
	each(t, db, "blk", func(key, value []byte) {
		s, err := block.Decode(value)
		if err != nil {
			t.Fatalf("%x: %v", key, err)
		}
		if !bytes.Equal(s.Encode(), value) {
			t.Errorf("%x: encodes to other bytes", key)
		}
		if root := s.Root(); !bytes.Equal(root[:], key) {
			t.Errorf("%x: root %s", key, root)
		}
		c.blocks[common.Hash(key)] = s
	})
	each(t, db, "fee", func(key, value []byte) {
		c.fees[common.Hash(key)] = new(big.Int).SetBytes(value)
	})
	return c
}

func each(t *testing.T, db *leveldb.DB, column string, visit func(key, value []byte)) {
	t.Helper()
	i := db.NewIterator(util.BytesPrefix([]byte(column)), nil)
	defer i.Release()
	for i.Next() {
		visit(bytes.Clone(i.Key()[len(column):]), bytes.Clone(i.Value()))
	}
	if err := i.Error(); err != nil {
		t.Fatal(err)
	}
}

func (c *chain) check(s *block.Signed) error {
	b, root := &s.Block, s.Root()
	if b.Payload.BlockNumber == 0 {
		return equal("genesis", block.Genesis(c.spec, b.Payload).Encode(), s.Encode())
	}
	if c.parent(s) == nil {
		return fmt.Errorf("parent %s is not stored", b.ParentHash)
	}
	err := errors.Join(
		c.committee.Verify(&s.Approvals, root),
		aura.CheckSlotWith(b.Slot, b.Payload.Timestamp, c.spec.SlotDuration, c.spec.Exceptions.OlderSlotDuration),
		c.checkFees(s),
	)
	if s.Approvals.CountReal(c.committee.Len()) == 0 || b.AuxPowHeader == nil {
		return err
	}
	return errors.Join(err, c.checkProof(s), c.checkSplit(s))
}

// checkFees recomputes the fee accumulator where the receipt's gas is known
// without an execution client: in payloads of no or one transaction.
func (c *chain) checkFees(s *block.Signed) error {
	p := &s.Block.Payload
	got, known := c.fees[s.Root()]
	if !known || len(p.Transactions) > 1 {
		return nil
	}
	var gas []uint64
	if len(p.Transactions) == 1 {
		gas = []uint64{p.GasUsed}
	}
	want, err := p.Fees(gas)
	if err != nil {
		return err
	}
	if s.Block.AuxPowHeader == nil {
		want.Add(want, c.fees[s.Block.ParentHash])
	}
	return equal("fee accumulator", got.String(), want.String())
}

func (c *chain) checkSplit(s *block.Signed) error {
	p := &s.Block.Payload
	split, err := block.SplitFees(c.fees[s.Block.ParentHash], s.Block.AuxPowHeader.FeeRecipient, c.spec.Federation)
	if err != nil {
		return err
	}
	if len(p.Withdrawals) < len(split) {
		return fmt.Errorf("%d withdrawals for a split of %d", len(p.Withdrawals), len(split))
	}
	return errors.Join(
		equal("split", fmt.Sprint(p.Withdrawals[:len(split)]), fmt.Sprint(split)),
		p.CheckWithdrawals(split, reversed(p.Withdrawals[len(split):])),
	)
}

// reversed passes the credits on in reverse, since the order of peg-ins must not
// matter to the check.
func reversed(credits []block.Withdrawal) []block.Withdrawal {
	out := slices.Clone(credits)
	slices.Reverse(out)
	return out
}

func (c *chain) checkProof(s *block.Signed) error {
	h := s.Block.AuxPowHeader
	var roots []common.Hash
	for at := h.RangeEnd; ; {
		roots = append([]common.Hash{at}, roots...)
		if at == h.RangeStart {
			break
		}
		b := c.blocks[at]
		if b == nil {
			return fmt.Errorf("range: %s is not stored", at)
		}
		at = b.Block.ParentHash
	}
	latest := c.parent(s)
	for latest.Block.AuxPowHeader == nil {
		latest = c.parent(latest)
	}
	bits, err := auxpow.NextBits(c.spec.Retarget, latest.Block.AuxPowHeader.Bits,
		latest.Block.Payload.BlockNumber, s.Block.Payload.BlockNumber-1)
	if err != nil {
		return err
	}
	if !h.AuxPow.CheckWork(bits) {
		return fmt.Errorf("work of %s does not meet bits %#08x", h.AuxPow.ParentBlock.BlockHash(), bits)
	}
	if h.AuxPow.CheckWork(0) {
		return fmt.Errorf("work meets a target of zero")
	}
	return h.AuxPow.CheckStructure(auxpow.Commitment(roots), h.ChainID)
}

// checkAnswers compares our JSON, member order included, with the recorded
// getblockbyheight answers. Other members hold other aggregates of the same
// block, so only the message is compared.
func checkAnswers(t *testing.T, dir string, c *chain) {
	t.Helper()
	lines, err := vectors.Lines(dir, "blocks")
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		Message json.RawMessage `json:"message"`
	}
	ours := make(map[string]bool)
	for _, s := range c.blocks {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var a answer
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatal(err)
		}
		ours[string(a.Message)] = true
	}
	missing := 0
	for _, line := range lines {
		var v struct {
			Result answer `json:"result"`
		}
		var compact bytes.Buffer
		if err := errors.Join(json.Unmarshal(line, &v), json.Compact(&compact, v.Result.Message)); err != nil {
			t.Fatal(err)
		}
		if !ours[compact.String()] {
			missing++
		}
	}
	if missing > 0 || len(lines) != len(c.blocks) {
		t.Errorf("%d of %d answers are no block of the store's %d", missing, len(lines), len(c.blocks))
	}
}

// TestChainGossip decodes everything a peer of two of the chains heard.
func TestChainGossip(t *testing.T) {
	for _, name := range []string{"single", "fed3"} {
		lines, err := vectors.Lines(filepath.Join(vectors.Dir(legacyDir), "chains", name), "gossip")
		if err != nil {
			t.Fatal(err)
		}
		count := make(map[string]int)
		for i, line := range lines {
			var v struct {
				Topic string `json:"topic"`
				Data  octets `json:"data"`
			}
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			m, err := gossip.Decode(v.Data)
			if err != nil {
				t.Errorf("%s line %d: %v", name, i+1, err)
				continue
			}
			if m.Topic() != v.Topic || !bytes.Equal(m.Encode(), v.Data) {
				t.Errorf("%s line %d: topic %s for %s, or other bytes", name, i+1, m.Topic(), v.Topic)
			}
			count[v.Topic]++
		}
		t.Logf("%s: %v", name, count)
	}
}
