package vectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// TestVectorsPeg follows the recorded chains beside the Bitcoin chain they were made
// with: every peg-in credits what its transaction says, every proposal pays what its
// parent's transactions ask for from coins the federation holds, and every finalised
// peg-out has its signatures.
func TestVectorsPeg(t *testing.T) {
	for name, recorded := range map[string][4]int{
		"single": {37, 14, 13, 12}, "fed3": {57, 10, 9, 8}, "crashed": {1, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := openJudged(t, name)
			f, err := peg.NewFederation(j.spec.FederationKeys)
			if err != nil {
				t.Fatal(err)
			}
			w := &pegWalk{
				wallet:  wallet{federation: f, coins: make(map[wire.OutPoint]*wire.TxOut)},
				bitcoin: bitcoinTxs(t, f, name), held: make(map[wire.OutPoint]*wire.TxOut),
			}
			var branch []*block.Signed
			for s := j.order[len(j.order)-1]; s != nil; s = j.parent(s) {
				branch = append(branch, s)
			}
			slices.Reverse(branch)
			for i, s := range branch[1:] {
				if err := w.follow(&branch[i].Block.Payload, &s.Block); err != nil {
					t.Errorf("block %d: %v", s.Block.Payload.BlockNumber, err)
				}
			}
			if seen := [4]int{w.pegins, w.pegouts, w.proposals, w.finalised}; seen != recorded {
				t.Errorf("the chain was recorded with %v", recorded)
			}
			t.Logf("%d peg-ins, %d peg-outs in %d proposals, %d finalised", w.pegins, w.pegouts, w.proposals, w.finalised)
		})
	}
}

// place is where a transaction is in the Bitcoin chain.
type place struct{ block, txid chainhash.Hash }

func bitcoinTxs(t *testing.T, f *peg.Federation, chain string) map[place]*wire.MsgTx {
	t.Helper()
	lines, err := vectors.Lines(filepath.Join(vectors.Dir(legacyDir), "chains", chain), "bitcoin")
	if err != nil {
		t.Fatal(err)
	}
	txs := make(map[place]*wire.MsgTx)
	found := 0
	for i, line := range lines {
		var v struct{ Block octets }
		var b wire.MsgBlock
		if err := errors.Join(json.Unmarshal(line, &v), b.Deserialize(bytes.NewReader(v.Block))); err != nil {
			t.Fatalf("%s: Bitcoin block of line %d: %v", chain, i+1, err)
		}
		scan, err := f.ScanBlock(v.Block)
		if err != nil {
			t.Fatalf("%s: Bitcoin block of line %d: %v", chain, i+1, err)
		}
		for k, tx := range b.Transactions {
			txs[place{b.BlockHash(), tx.TxHash()}] = tx
			_, in := f.PegIn(tx)
			seen := slices.ContainsFunc(scan.Found, func(found peg.Found) bool { return int(found.Index) == k })
			if scan.Txids[k] != tx.TxHash() || in && !seen {
				t.Errorf("%s: Bitcoin block of line %d: transaction %d is %s, found %v", chain, i+1, k, scan.Txids[k], seen)
			}
		}
		found += len(scan.Found)
	}
	t.Logf("%d Bitcoin blocks, %d transactions are the federation's", len(lines), found)
	return txs
}

// pegWalk is the federation's wallet along a chain, and what was seen.
type pegWalk struct {
	wallet
	bitcoin map[place]*wire.MsgTx
	held    map[wire.OutPoint]*wire.TxOut // spent ones too

	pegins, pegouts, proposals, finalised int
}

func (w *pegWalk) follow(parent *block.Payload, b *block.Block) error {
	requests, err := requests(parent)
	if err != nil {
		return err
	}
	// A proposal is checked before the block's own peg-ins are in the wallet.
	problem := w.federation.CheckProposal(requests, b.PegoutProposal, w.holds)
	problem = errors.Join(problem, w.sign(requests, b.PegoutProposal))
	problem = errors.Join(problem, w.credit(b))
	if tx := b.PegoutProposal; tx != nil {
		w.proposals, w.pegouts = w.proposals+1, w.pegouts+len(requests)
		for _, in := range tx.TxIn {
			delete(w.coins, in.PreviousOutPoint)
		}
		w.receive(tx)
	}
	for _, tx := range b.FinalizedPegouts {
		w.finalised++
		var spent []*wire.TxOut
		for _, in := range tx.TxIn {
			spent = append(spent, w.held[in.PreviousOutPoint])
		}
		problem = errors.Join(problem, w.federation.CheckWitnesses(tx, spent))
	}
	return problem
}

// sign: what legacy's members proposed and signed, our member signs.
func (w *pegWalk) sign(requests []peg.Output, tx *wire.MsgTx) error {
	if tx == nil {
		return nil
	}
	spent, err := w.spent(tx)
	if err != nil {
		return err
	}
	return w.federation.CheckSigner(peg.Policy{MaxRate: 1_000_000}, requests, tx, spent, nil)
}

func (w *pegWalk) receive(tx *wire.MsgTx) {
	w.register(tx)
	for p, coin := range w.coins {
		w.held[p] = coin
	}
}

// credit compares the last withdrawals of a block with its peg-ins, by account.
func (w *pegWalk) credit(b *block.Block) error {
	amounts := make(map[common.Address]uint64)
	for _, in := range b.Pegins {
		tx := w.bitcoin[place{in.BlockHash, in.Txid}]
		if tx == nil {
			return fmt.Errorf("peg-in %s is not in Bitcoin block %s", in.Txid, in.BlockHash)
		}
		credit, ok := w.federation.PegIn(tx)
		if !ok {
			return fmt.Errorf("peg-in %s credits nobody", in.Txid)
		}
		amounts[credit.Account] += 10 * credit.Amount // in Gwei
		w.receive(tx)
		w.pegins++
	}
	var want []block.Withdrawal
	for account, amount := range amounts {
		want = append(want, block.Withdrawal{Address: account, Amount: amount})
	}
	slices.SortFunc(want, func(a, b block.Withdrawal) int { return a.Address.Cmp(b.Address) })
	all := b.Payload.Withdrawals
	if len(all) < len(want) || b.AuxPowHeader == nil && len(all) != len(want) {
		return fmt.Errorf("%d withdrawals for %d accounts", len(all), len(want))
	}
	return equal("withdrawals", fmt.Sprint(all[len(all)-len(want):]), fmt.Sprint(want))
}

// requests are the peg-outs of a payload, from calls of the bridge instead of
// receipts, which were not recorded: requestPegOut logs its argument and its value.
func requests(p *block.Payload) ([]peg.Output, error) {
	var receipts []peg.Receipt
	for _, raw := range p.Transactions {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(raw); err != nil {
			return nil, err
		}
		receipt := peg.Receipt{To: tx.To()}
		if arguments, ok := bytes.CutPrefix(tx.Data(), []byte{0x99, 0x11, 0xdc, 0x74}); ok && len(arguments) >= 64 {
			data := append(make([]byte, 64), arguments[32:]...)
			big.NewInt(64).FillBytes(data[:32])
			tx.Value().FillBytes(data[32:64])
			receipt.Logs = []peg.Log{{Topics: []common.Hash{peg.RequestTopic, {}}, Data: data}}
		}
		receipts = append(receipts, receipt)
	}
	return peg.PegOuts(receipts)
}
