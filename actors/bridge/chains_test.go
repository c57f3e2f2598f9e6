package bridge

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// recorded is a chain that legacy nodes made: the blocks up to its head, oldest first.
type recorded struct {
	spec    *spec.Chain
	blocks  []*message.PegBlock
	bitcoin []*wire.MsgBlock // by height
	coins   map[string]uint64
	spent   int
}

func openRecorded(t testing.TB, name string) *recorded {
	t.Helper()
	dir := filepath.Join(vectors.Dir("../../testdata/legacy"), "chains", name)
	data, err := os.ReadFile(filepath.Join(dir, "chain.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorded{coins: map[string]uint64{}}
	if r.spec, _, err = spec.Parse(data); err != nil {
		t.Fatal(err)
	}
	r.openStore(t, dir)
	for i, line := range lines(t, dir, "bitcoin") {
		var v struct{ Block string }
		var b wire.MsgBlock
		err := json.Unmarshal(line, &v)
		raw, _ := hex.DecodeString(v.Block)
		if err != nil || b.Deserialize(bytes.NewReader(raw)) != nil {
			t.Fatalf("Bitcoin block of line %d", i+1)
		}
		r.bitcoin = append(r.bitcoin, &b)
	}
	for _, line := range lines(t, dir, "wallet") {
		var v struct{ Kind, Value string }
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		var out, state string
		var amount uint64
		if v.Kind != "utxo" {
			continue
		} else if _, err := fmt.Sscanf(v.Value, "%s %d spent=%s", &out, &amount, &state); err != nil {
			t.Fatal(err)
		}
		if state == "true" {
			r.spent++
		} else {
			r.coins[out] = amount
		}
	}
	return r
}

func lines(t testing.TB, dir, name string) [][]byte {
	t.Helper()
	list, err := vectors.Lines(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// openStore reads the blocks of a store, from the highest down to genesis.
func (r *recorded) openStore(t testing.TB, dir string) {
	t.Helper()
	store := filepath.Join(t.TempDir(), "chain_db")
	if err := os.CopyFS(store, os.DirFS(filepath.Join(dir, "chain_db"))); err != nil {
		t.Fatal(err)
	}
	db, err := leveldb.OpenFile(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	blocks, fees := map[common.Hash]*block.Signed{}, map[common.Hash]*big.Int{}
	each := func(column string, visit func(key common.Hash, value []byte)) {
		i := db.NewIterator(util.BytesPrefix([]byte(column)), nil)
		defer i.Release()
		for i.Next() {
			visit(common.BytesToHash(i.Key()[len(column):]), i.Value())
		}
	}
	var top *block.Signed
	each("blk", func(key common.Hash, value []byte) {
		s, err := block.Decode(bytes.Clone(value))
		if err != nil {
			t.Fatal(err)
		}
		blocks[key] = s
		if top == nil || s.Block.Payload.BlockNumber > top.Block.Payload.BlockNumber {
			top = s
		}
	})
	each("fee", func(key common.Hash, value []byte) { fees[key] = new(big.Int).SetBytes(value) })
	for s := top; s != nil; s = blocks[s.Block.ParentHash] {
		r.blocks = append(r.blocks, r.pegBlock(t, &s.Block, fees[s.Block.ParentHash]))
	}
	slices.Reverse(r.blocks)
}

// pegBlock is what the chain actor tells of a block. Receipts were not recorded: a call of
// the bridge logs its argument and its value.
func (r *recorded) pegBlock(t testing.TB, b *block.Block, fees *big.Int) *message.PegBlock {
	t.Helper()
	m := &message.PegBlock{Root: b.Root(), Parent: b.ParentHash, Number: b.Payload.BlockNumber, PayloadHash: b.Payload.BlockHash}
	for _, in := range b.Pegins {
		m.PegIns = append(m.PegIns, message.DepositID{Txid: in.Txid, Block: in.BlockHash})
	}
	if tx := b.PegoutProposal; tx != nil {
		var raw bytes.Buffer
		_ = tx.SerializeNoWitness(&raw)
		m.Proposal = raw.Bytes()
	}
	for _, tx := range b.FinalizedPegouts {
		m.Payouts = append(m.Payouts, message.RawTransaction{Raw: content(tx).Data})
	}
	for _, w := range b.Payload.Withdrawals {
		m.Withdrawals = append(m.Withdrawals, message.Withdrawal{Address: w.Address, Amount: w.Amount})
	}
	if h := b.AuxPowHeader; h != nil && m.Number > 0 {
		m.Carrier, m.RangeStart, m.RangeEnd = true, h.RangeStart, h.RangeEnd
		if fees == nil {
			fees = new(big.Int)
		}
		shares, err := block.SplitFees(fees, h.FeeRecipient, r.spec.Federation)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range shares {
			m.FeeShares = append(m.FeeShares, message.Withdrawal{Address: w.Address, Amount: w.Amount})
		}
	}
	var receipts message.PegReceipts
	for i, raw := range b.Payload.Transactions {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(raw); err != nil {
			t.Fatal(err)
		}
		if arguments, ok := bytes.CutPrefix(tx.Data(), []byte{0x99, 0x11, 0xdc, 0x74}); ok && len(arguments) >= 64 && tx.To() != nil {
			data := append(make([]byte, 64), arguments[32:]...)
			data[31] = 64
			tx.Value().FillBytes(data[32:64])
			receipts.Logs = append(receipts.Logs, message.PegLog{
				Transaction: tx.Hash(), Index: uint32(i), HasTo: true, To: *tx.To(), Emitter: peg.BridgeAddress,
				Topics: []message.Topic{{Value: peg.RequestTopic}, {}}, Data: data,
			})
		}
	}
	if len(receipts.Logs) > 0 {
		data, _ := record.Encode(&receipts)
		m.Receipts = record.NewContent(data)
	}
	return m
}

// ground returns a bridge of that network at its genesis.
func (r *recorded) ground(t failer, bitcoin bool) *ground {
	g := newGround(t, func(c *spec.Chain, m *message.NodeConfigured) {
		*c = *r.spec
		m.Bitcoin = bitcoin
		m.MinFeeRate, m.MaxFeeRate, m.FallbackFeeRate, m.PayoutConfirmations = 1000, 1_000_000, 2000, 6
	})
	g.state, g.told = newState(), map[common.Hash]*message.PegBlock{}
	g.log.Reset()
	g.wait = nil
	g.send(core.Ref{}, g.config)
	g.btc.best = nil
	for h, b := range r.bitcoin {
		g.btc.best = append(g.btc.best, &bitcoinBlock{header: b.Header, height: uint64(h), txs: b.Transactions})
	}
	for _, b := range r.blocks {
		name := fmt.Sprint(b.Number)
		g.roots[name], g.names[b.Root] = b, name
	}
	return g
}

// TestRecordedChains follows the chains that legacy nodes made beside their Bitcoin
// chains: every block is judged before it is followed, as a member does, and afterwards the
// wallet has the coins that legacy's has. Then the same without Bitcoin, which is
// configured later: the wallet comes to be the same.
func TestRecordedChains(t *testing.T) {
	for name, want := range map[string]message.PegTotals{
		"single": {
			Deposited: 659962635, Credited: 659962635, Coins: 620009067, CoinCount: 29, Paid: 39896792, BitcoinFees: 56776, UserFees: 22954, PoolDrift: 33822,
			Requested: 39919746, Ignored: 3999996, Dust: 9643,
		},
		"fed3": {
			Deposited: 1307343108, Credited: 1307343108, Coins: 1284280164, CoinCount: 53, Paid: 23023369, BitcoinFees: 39575, UserFees: 13665, PoolDrift: 25910,
			Requested: 23037034, Ignored: 1999998, Dust: 4503,
		},
		"crashed": {Deposited: 241420, Credited: 241420, Coins: 241420, CoinCount: 1, Requested: 1500000, Pending: 1500000, Ignored: 999999, Dust: 822},
	} {
		t.Run(name, func(t *testing.T) {
			r := openRecorded(t, name)
			g := r.ground(t, true)
			g.unsure = true // audited at the end
			for g.bitcoin(20) {
			}
			head := ""
			for _, b := range r.blocks {
				if head != "" {
					if v := g.state.judge(b); !v.Valid() {
						t.Errorf("block %d: %s by %s: %s", b.Number, v.Grade, v.Rule, v.Reason)
					}
				}
				head = fmt.Sprint(b.Number)
				g.follow(head, "", b)
			}
			g.unsure = false
			g.follow(head, head)
			r.compare(t, g)
			got := g.state.Block(g.state.Head.Root).Wallet.Totals
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			t.Logf("%d blocks, all approved; %+v", len(r.blocks), got)

			late := r.ground(t, false)
			late.unsure = true
			for _, b := range r.blocks {
				late.follow(fmt.Sprint(b.Number), "", b)
			}
			m := *late.config
			m.Bitcoin = true
			late.send(core.Ref{}, &m)
			for late.bitcoin(20) {
			}
			late.unsure = false
			late.follow(head, head)
			if again := late.state.Block(late.state.Head.Root).Wallet; again.Totals != got || !slices.Equal(walletEntries(again), walletEntries(g.state.Block(g.state.Head.Root).Wallet)) {
				t.Errorf("with Bitcoin configured late the wallet is %+v, want %+v", again.Totals, got)
			}
		})
	}
}

// compare compares the wallet of the head with legacy's.
func (r *recorded) compare(t *testing.T, g *ground) {
	t.Helper()
	w := g.state.Block(g.state.Head.Root).Wallet
	coins := map[string]uint64{}
	w.Coins(func(c Coin) bool {
		coins[c.OutPoint.String()] = c.Amount
		return true
	})
	for out, amount := range r.coins {
		if coins[out] != amount {
			t.Errorf("coin %s of %d satoshi: the wallet has %d", out, amount, coins[out])
		}
	}
	for out, amount := range coins {
		if _, ok := r.coins[out]; !ok {
			t.Errorf("coin %s of %d satoshi: legacy's wallet has none", out, amount)
		}
	}
	if w.spent.Len() != r.spent {
		t.Errorf("%d outputs are spent, in legacy's wallet %d", w.spent.Len(), r.spent)
	}
}
