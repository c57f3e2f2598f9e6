package node

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"os/exec"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"github.com/AnduroProject/alys-go/internal/edge/bridge"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	ledger "github.com/AnduroProject/alys-go/projections/peg"
)

// laneDeposit is a deposit to an account whose key the lane has.
type laneDeposit struct {
	encoding string
	amount   int64
	key      *btcec.PrivateKey
	account  common.Address
	left     *big.Int // wei that the account has in the end
}

// opReturn is a script whose last push is data, by a push opcode of choice. (peg.md A3)
func opReturn(push byte, data []byte) []byte {
	script := []byte{txscript.OP_RETURN}
	switch push {
	case txscript.OP_PUSHDATA1:
		script = append(script, push, byte(len(data)))
	case txscript.OP_PUSHDATA2:
		script = append(script, push, byte(len(data)), 0)
	default:
		script = append(script, byte(len(data)))
	}
	return append(script, data...)
}

// deposits makes five deposits, one of each encoding, and waits for their credits.
func (l *pegLane) deposits() []*laneDeposit {
	l.Helper()
	var all []*laneDeposit
	for i, c := range []struct {
		encoding string
		push     byte
		text     func(a common.Address) []byte
	}{
		{"20 raw bytes", 0, func(a common.Address) []byte { return a[:] }},
		{"text", 0, func(a common.Address) []byte { return []byte(strings.ToLower(a.Hex()[2:])) }},
		{"0x and text", 0, func(a common.Address) []byte { return []byte(strings.ToLower(a.Hex())) }},
		{"mixed case and white space", 0, func(a common.Address) []byte {
			h := a.Hex()
			return []byte(h[:12] + " \t" + h[12:30] + "\r\n" + h[30:])
		}},
		{"PUSHDATA2", txscript.OP_PUSHDATA2, func(a common.Address) []byte { return a[:] }},
	} {
		d := newLaneDeposit(c.encoding, i)
		all = append(all, d)
		named := wire.NewTxOut(0, opReturn(c.push, c.text(d.account)))
		paid := wire.NewTxOut(d.amount, l.federation.ScriptPubKey)
		outputs := []*wire.TxOut{paid, named}
		if i%2 == 1 {
			slices.Reverse(outputs)
		}
		l.step("peg-in by "+c.encoding,
			func() { l.pay(outputs...) },
			l.confirm(l.nextDepth()), // so that its block is the lowest that is replaced
			l.reorganise,
			l.confirm(laneConfirmations),
			pause,
			pause,
		)
		l.hasBalance(d.account, d.left)()
	}
	return all
}

func newLaneDeposit(encoding string, i int) *laneDeposit {
	key, _ := btcec.PrivKeyFromBytes(crypto.Keccak256([]byte(encoding)))
	amount := int64(100_000_000 - 17_000_001*i)
	return &laneDeposit{encoding: encoding, amount: amount, key: key, account: crypto.PubkeyToAddress(*key.PubKey().ToECDSA()), left: wei(amount)}
}

// The amounts that nobody is credited.
const (
	malformedAmount = 11_000_000
	elsewhereAmount = 12_000_000
)

var stranger = common.Address{0x99, 1}

// ignored makes a deposit that names nobody and a payment to a script that only looks like
// the federation's.
func (l *pegLane) ignored() {
	l.Helper()
	elsewhere := append([]byte{txscript.OP_2}, l.federation.ScriptPubKey[1:]...)
	l.step("a malformed deposit and one to a wrong script",
		func() {
			l.pay(wire.NewTxOut(malformedAmount, l.federation.ScriptPubKey), wire.NewTxOut(0, opReturn(0, []byte("0x1234"))))
			l.pay(wire.NewTxOut(elsewhereAmount, elsewhere), wire.NewTxOut(0, opReturn(0, stranger[:])))
		},
		l.confirm(l.nextDepth()),
		l.reorganise,
		l.confirm(2*laneConfirmations),
		pause,
		pause,
	)
}

// laneRequest is a peg-out to an address whose key the lane has.
type laneRequest struct {
	form    string
	address btcutil.Address
	script  []byte
	amount  int64
	paid    int64
	payment wire.OutPoint
}

// laneOwner has the coins of the destinations.
var laneOwner, _ = btcec.PrivKeyFromBytes(bytes.Repeat([]byte{0x55}, 32))

func laneDestinations() (all []*laneRequest, err error) {
	net, public := &chaincfg.RegressionNetParams, laneOwner.PubKey()
	hash := btcutil.Hash160(public.SerializeCompressed())
	witness, err := btcutil.NewAddressWitnessPubKeyHash(hash, net)
	if err != nil {
		return nil, err
	}
	taproot, err := btcutil.NewAddressTaproot(txscript.ComputeTaprootKeyNoScript(public).SerializeCompressed()[1:], net)
	if err != nil {
		return nil, err
	}
	legacy, err := btcutil.NewAddressPubKeyHash(hash, net)
	if err != nil {
		return nil, err
	}
	for _, r := range []*laneRequest{
		{form: "p2wpkh", address: witness, amount: 40_000_000},
		{form: "p2tr", address: taproot, amount: 25_000_001},
		{form: "p2pkh", address: legacy, amount: 1_234_567},
	} {
		if r.script, err = txscript.PayToAddrScript(r.address); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// requests asks for three peg-outs by transactions of credited accounts, and waits until
// their payment is in Bitcoin as deep as asked for.
func (l *pegLane) requests(deposits []*laneDeposit) []*laneRequest {
	l.Helper()
	all, err := laneDestinations()
	if err != nil {
		l.Fatal(err)
	}
	var sent []*types.Transaction
	for i, r := range all {
		sent = append(sent, l.burn(deposits[i], r))
	}
	l.step("peg-outs requested",
		func() {
			for _, tx := range sent {
				_ = l.users.SendTransaction(l.Context(), tx) // sent again until it is in a block
			}
		},
		pause, pause)
	l.eventually("the requests come into blocks", func() error { return l.requested(deposits, all, sent) })
	l.step("payments proposed, signed and finalised", pause, pause, pause)
	l.eventually("the payments are broadcast", func() error { return l.broadcast(all) })
	l.step("payments in the mempool", pause, pause, l.confirm(1)) // the Bitcoin node loses its mempool
	l.eventually("the payments are broadcast again and mined", func() error { return l.mined(all) })
	l.step("payments mined", l.confirm(l.nextDepth()-1), pause, l.reorganise)
	l.eventually("the payments are mined again", func() error { return l.mined(all) })
	l.step("payments confirmed", l.confirm(1), l.confirm(1), l.confirm(laneConfirmations))
	l.settled(all)
	return all
}

// burn signs the transaction of a request. (peg.md A6)
func (l *pegLane) burn(d *laneDeposit, r *laneRequest) *types.Transaction {
	key, err := crypto.ToECDSA(d.key.Serialize())
	if err != nil {
		l.Fatal(err)
	}
	to, id := bridge.Address, new(big.Int).SetUint64(uint64(l.chain.ChainID))
	return types.MustSignNewTx(key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, To: &to, Value: wei(r.amount), Data: bridge.PackRequestPegOut([]byte(r.address.EncodeAddress())),
		Gas: 200_000, GasFeeCap: big.NewInt(100 * params.GWei), GasTipCap: big.NewInt(params.GWei),
	})
}

// requested sends transactions until all have receipts, and notes what their accounts have left.
func (l *pegLane) requested(deposits []*laneDeposit, all []*laneRequest, sent []*types.Transaction) error {
	var missing error
	for i, tx := range sent {
		receipt, err := l.users.TransactionReceipt(l.Context(), tx.Hash())
		if err != nil {
			// The client may have lost it in a crash.
			missing = errors.Join(err, l.users.SendTransaction(l.Context(), tx))
			continue
		}
		if receipt.Status != types.ReceiptStatusSuccessful {
			l.Fatalf("request %d failed: %+v", i, receipt)
		}
		d := deposits[i]
		gas := new(big.Int).Mul(new(big.Int).SetUint64(receipt.GasUsed), receipt.EffectiveGasPrice)
		d.left = new(big.Int).Sub(new(big.Int).Sub(wei(d.amount), wei(all[i].amount)), gas)
	}
	return missing
}

// broadcast looks for the payments in the mempool, and in blocks.
func (l *pegLane) broadcast(all []*laneRequest) error {
	waiting, err := l.miner.Mempool(l.Context())
	if err != nil {
		return err
	}
	paid := 0
	for _, r := range all {
		_, points, err := l.unspent(r.script)
		if err != nil {
			return err
		}
		paid += len(points)
		for _, tx := range waiting {
			for _, out := range tx.TxOut {
				if bytes.Equal(out.PkScript, r.script) {
					paid++
				}
			}
		}
	}
	if paid > len(all) {
		l.Fatalf("%d payments of %d requests", paid, len(all))
	}
	if paid < len(all) {
		return fmt.Errorf("%d of %d payments", paid, len(all))
	}
	return nil
}

// mined mines until each destination is paid in a block.
func (l *pegLane) mined(all []*laneRequest) error {
	paid := 0
	for _, r := range all {
		sum, points, err := l.unspent(r.script)
		if err != nil {
			return err
		}
		if len(points) > 1 {
			l.Fatalf("%s is paid %d times, %d satoshi", r.form, len(points), sum)
		}
		paid += len(points)
	}
	if paid == len(all) {
		return nil
	}
	l.mine(1)
	return fmt.Errorf("%d of %d paid", paid, len(all))
}

// settled notes what each destination got: once, and less than asked for by no more than
// a fee.
func (l *pegLane) settled(all []*laneRequest) {
	l.Helper()
	for _, r := range all {
		sum, points, err := l.unspent(r.script)
		if err != nil || len(points) != 1 || sum > r.amount || sum < r.amount-10_000 {
			l.Fatalf("%s of %d satoshi: paid %d in %d outputs, %v", r.form, r.amount, sum, len(points), err)
		}
		r.paid, r.payment = sum, points[0]
		l.Logf("%s: %d of %d satoshi, payment %s", r.form, r.paid, r.amount, r.payment)
	}
}

// spend spends what was paid out.
func (l *pegLane) spend(all []*laneRequest) {
	l.Helper()
	tx := wire.NewMsgTx(2)
	prevouts := make(map[wire.OutPoint]*wire.TxOut)
	sum := int64(-3000)
	for _, r := range all {
		tx.AddTxIn(wire.NewTxIn(&r.payment, nil, nil))
		prevouts[r.payment] = wire.NewTxOut(r.paid, r.script)
		sum += r.paid
	}
	tx.AddTxOut(wire.NewTxOut(sum, l.miner.Script()))
	fetcher := txscript.NewMultiPrevOutFetcher(prevouts)
	hashes := txscript.NewTxSigHashes(tx, fetcher)
	for i, r := range all {
		var err error
		in := tx.TxIn[i]
		switch r.form {
		case "p2wpkh":
			in.Witness, err = txscript.WitnessSignature(tx, hashes, i, r.paid, r.script, txscript.SigHashAll, laneOwner, true)
		case "p2tr":
			in.Witness, err = txscript.TaprootWitnessSignature(tx, hashes, i, r.paid, r.script, txscript.SigHashDefault, laneOwner)
		default:
			in.SignatureScript, err = txscript.SignatureScript(tx, i, r.script, txscript.SigHashAll, laneOwner, true)
		}
		if err != nil {
			l.Fatal(err)
		}
	}
	l.bitcoinTxs = append(l.bitcoinTxs, tx)
	l.send(tx)
	l.mine(1)
	for _, r := range all {
		if sum, _, err := l.unspent(r.script); err != nil || sum != 0 {
			l.Fatalf("%s: %d satoshi left after they were spent, %v", r.form, sum, err)
		}
	}
}

// followed asks the running node whether it has followed Bitcoin to its tip.
func (l *pegLane) followed() error {
	var s ledger.Summary
	if err := l.node.ask(&s, "peg", "status"); err != nil {
		return err
	}
	info, err := l.client.Info(l.Context())
	if err == nil && s.Bitcoin.Hash != info.Tip.String() {
		err = fmt.Errorf("Bitcoin is followed to %d of %d", s.Bitcoin.Height, info.Height)
	}
	return err
}

// level asks the running node's ledger whether everything came to its end.
func (l *pegLane) level() error {
	var s ledger.Summary
	if err := errors.Join(l.followed(), l.node.ask(&s, "peg", "status")); err != nil {
		return err
	}
	if s.Halted != nil || s.Alarms.Count > 0 {
		l.Fatalf("halted %+v, alarms %+v", s.Halted, s.Alarms)
	}
	confirmed := s.Counts[ledger.Requests.String()]["confirmed"].Entries
	if confirmed != 3 {
		return fmt.Errorf("%d requests confirmed, counts %+v", confirmed, s.Counts)
	}
	return nil
}

// conservation compares what is in Bitcoin, on the sidechain and in the journal, to the
// satoshi, and has the journal replayed with everything else stopped.
func (l *pegLane) conservation(deposits []*laneDeposit, requests []*laneRequest) {
	l.Helper()
	var minted, asked, paid, requestFees int64
	for _, d := range deposits {
		minted += d.amount
		l.hasBalance(d.account, d.left)()
	}
	for _, r := range requests {
		asked, paid = asked+r.amount, paid+r.paid
		requestFees += r.amount - r.paid
	}
	if got, err := l.balance(stranger); err != nil || got.Sign() != 0 {
		l.Errorf("the deposit to a wrong script credits %s wei, %v", got, err)
	}
	held, points, err := l.unspent(l.federation.ScriptPubKey)
	if err != nil || held != minted-asked+malformedAmount {
		l.Errorf("Bitcoin has %d satoshi of the federation in %d outputs, want %d minted - %d requested + %d uncredited = %d; %v",
			held, len(points), minted, asked, malformedAmount, minted-asked+malformedAmount, err)
	}
	l.eventually("the ledger is level with Bitcoin", l.level)
	l.node.stopped()
	l.lives()
	totals := l.totals()
	want := message.PegTotals{
		Deposited: uint64(minted), Credited: uint64(minted), Coins: uint64(held - malformedAmount), CoinCount: uint64(len(points) - 1),
		Paid: uint64(paid), BitcoinFees: uint64(requestFees), UserFees: uint64(requestFees), Requested: uint64(asked),
	}
	if *totals != want {
		l.Errorf("totals %+v\nwant   %+v", *totals, want)
	}
	l.Logf("minted %d, requested %d, paid %d, fees %d; Bitcoin holds %d and %d that credit nobody", minted, asked, paid, requestFees, totals.Coins, malformedAmount)
	l.bitcoind.Stop()
	l.node.geth.kill()
	for _, command := range [][]string{{"replay"}, {"peg", "verify"}} {
		c := exec.Command(l.node.binary, append(command, "--data-dir", l.node.dir)...)
		c.Env = l.node.environ()
		out, err := c.CombinedOutput()
		if err != nil {
			l.Errorf("%s with Bitcoin and the engine stopped: %v", command, err)
		}
		l.Logf("%s with Bitcoin and the engine stopped:\n%s", command, bytes.TrimSpace(out))
	}
}
