package peg

import (
	"encoding/hex"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Peg is a deposit, a request or a payment as readers see it. Amounts are in satoshi,
// Bitcoin's hashes in display order.
type Peg struct {
	Kind          string  `json:"kind" doc:"deposit, request or payment"`
	Txid          string  `json:"txid,omitempty" doc:"Bitcoin transaction of a deposit or payment"`
	Transaction   string  `json:"transaction,omitempty" doc:"transaction of the execution layer that asks for a peg-out"`
	Log           *uint32 `json:"log,omitempty" doc:"index of the request's log in its block"`
	State         string  `json:"state" doc:"where it is in its life"`
	Reason        string  `json:"reason,omitempty" doc:"why, where it came to a dead end"`
	Amount        uint64  `json:"amount,omitempty" doc:"satoshi deposited, or asked for"`
	Paid          uint64  `json:"paid,omitempty" doc:"satoshi that the payment gives to a request"`
	Fee           uint64  `json:"fee,omitempty" doc:"satoshi that a payment leaves to Bitcoin's miners"`
	Account       string  `json:"account,omitempty" doc:"account on the sidechain that is credited, or that asked"`
	Destination   string  `json:"destination,omitempty" doc:"Bitcoin address as it stands in the request"`
	Payment       string  `json:"payment,omitempty" doc:"Bitcoin transaction that pays the request"`
	Output        *uint32 `json:"output,omitempty" doc:"index of the request's output there"`
	Signers       uint32  `json:"signers,omitempty" doc:"members whose signatures of the payment are known"`
	Block         string  `json:"block,omitempty" doc:"block of the sidechain that mints, requests, proposes or finalises"`
	Height        uint64  `json:"height,omitempty" doc:"its height"`
	BitcoinBlock  string  `json:"bitcoinBlock,omitempty" doc:"Bitcoin block that has the transaction"`
	BitcoinHeight uint64  `json:"bitcoinHeight,omitempty" doc:"its height"`

	Confirmations     uint64    `json:"confirmations" doc:"depth in Bitcoin, the block itself included"`
	ConfirmationsLeft uint64    `json:"confirmationsLeft,omitempty" doc:"Bitcoin blocks until it is as deep as asked for"`
	Next              string    `json:"next" doc:"what comes next, or what can be done"`
	Estimate          *Estimate `json:"estimate,omitempty" doc:"when that is, as far as it can be known"`
	Done              bool      `json:"done" doc:"nothing comes any more"`

	Since    string   `json:"since" doc:"when it was first seen, RFC 3339"`
	Changed  string   `json:"changed" doc:"when it came into its state"`
	Sequence uint64   `json:"sequence" doc:"event of the journal that says so"`
	History  []Change `json:"history,omitempty" doc:"every state it was in, oldest first"`
	Requests []string `json:"requests,omitempty" doc:"what a payment pays: TRANSACTION/LOG, in the order of its outputs"`
}

// Change is one state in the life of a deposit, request or payment.
type Change struct {
	State         string `json:"state" doc:"state"`
	Reason        string `json:"reason,omitempty" doc:"why"`
	Time          string `json:"time" doc:"when, RFC 3339"`
	Sequence      uint64 `json:"sequence" doc:"event of the journal that says so"`
	Height        uint64 `json:"height" doc:"height on the sidechain"`
	Block         string `json:"block,omitempty" doc:"block of the sidechain"`
	BitcoinHeight uint64 `json:"bitcoinHeight,omitempty" doc:"height of the Bitcoin block with the transaction"`
	BitcoinTip    uint64 `json:"bitcoinTip,omitempty" doc:"height that Bitcoin was followed to"`
	Signers       uint32 `json:"signers,omitempty" doc:"members whose signatures were known"`
	Payment       string `json:"payment,omitempty" doc:"Bitcoin transaction that pays"`
}

// Estimate is when the next step comes.
type Estimate struct {
	Chain   string `json:"chain" doc:"bitcoin or alys: whose blocks"`
	Blocks  uint64 `json:"blocks" doc:"blocks until then"`
	Minutes uint64 `json:"minutes,omitempty" doc:"the same by the observed time between blocks; absent while none was observed"`
}

// view shows an entry; the parts that need other entries are added by the reader.
func (e *entry) view() Peg {
	state, _ := e.state()
	p := Peg{Since: stamp(e.First.Time), Changed: stamp(e.Last.Time), Sequence: e.Last.Sequence}
	switch {
	case e.PegIn != nil:
		m := e.PegIn
		p.Kind, p.State, p.Txid = Deposits.String(), stateName(Deposits, state), m.Txid.String()
		p.Reason, p.Amount, p.Account = m.Reason, m.Amount, m.Account.Hex()
		p.BitcoinBlock, p.BitcoinHeight = bitcoinHash(m.BitcoinBlock), m.BitcoinHeight
		p.Block, p.Height = rootText(m.Root), m.Number
	case e.PegOut != nil:
		m := e.PegOut
		p.Kind, p.State, p.Transaction, p.Log = Requests.String(), stateName(Requests, state), m.Transaction.Hex(), &m.Log
		p.Reason, p.Amount, p.Paid, p.Account, p.Destination = m.Reason, m.Amount, m.Paid, m.Account.Hex(), printable(m.Destination)
		p.Payment, p.BitcoinHeight = bitcoinHash(m.Payment), m.BitcoinHeight
		if p.Payment != "" {
			p.Output = &m.Output
		}
		p.Block, p.Height = rootText(m.Root), m.Number
	case e.Payment != nil:
		m := e.Payment
		p.Kind, p.State, p.Txid = Payments.String(), stateName(Payments, state), m.Txid.String()
		p.Reason, p.Fee, p.Signers = m.Reason, m.Fee, m.Signers
		p.BitcoinBlock, p.BitcoinHeight = bitcoinHash(m.BitcoinBlock), m.BitcoinHeight
		p.Block, p.Height = rootText(m.Root), m.Number
	}
	return p
}

func (c *change) view(k Kind, sequence uint64) Change {
	return Change{
		State: stateName(k, c.State), Reason: c.Reason, Time: stamp(c.Time), Sequence: sequence, Height: c.Number, Block: rootText(c.Root),
		BitcoinHeight: c.BitcoinHeight, BitcoinTip: c.BitcoinTip, Signers: c.Signers, Payment: bitcoinHash(c.Payment),
	}
}

// stamp shows Unix milliseconds.
func stamp(ms uint64) string {
	return time.UnixMilli(int64(min(ms, 1<<48))).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func bitcoinHash(h chainhash.Hash) string {
	if h == (chainhash.Hash{}) {
		return ""
	}
	return h.String()
}

func rootText(h common.Hash) string {
	if h == (common.Hash{}) {
		return ""
	}
	return h.Hex()
}

// printable keeps what a user wrote on a chain from being read as anything but text.
func printable(text string) string {
	for _, r := range text {
		if r < ' ' || r > '~' {
			return "hex:" + hex.EncodeToString([]byte(text))
		}
	}
	return text
}

// TotalsOf shows the totals of a wallet as readers see them, in satoshi unless said.
func TotalsOf(t *message.PegTotals) Totals {
	if t == nil {
		t = &message.PegTotals{}
	}
	return Totals{
		Locked: t.Coins, Coins: t.CoinCount, Minted: t.Credited, Deposited: t.Deposited, Uncredited: t.Deposited - min(t.Credited, t.Deposited),
		Fetched: t.Fetched, Requested: t.Requested, Pending: t.Pending, Paid: t.Paid, UserFees: t.UserFees, BitcoinFees: t.BitcoinFees,
		Drift: t.PoolDrift, Stray: t.Stray, Ignored: t.Ignored, DustWei: t.Dust, UnbackedGwei: t.Unbacked, Unknown: t.Unknown,
	}
}

// Totals are the sums of the wallet from genesis on, in satoshi unless said. Locked is
// what backs the sidechain; docs/formats/peg-totals.md names each residue.
type Totals struct {
	Locked       uint64 `json:"locked" doc:"unspent coins of the federation"`
	Coins        uint64 `json:"coins" doc:"their number"`
	Minted       uint64 `json:"minted" doc:"credited to accounts by deposits"`
	Deposited    uint64 `json:"deposited" doc:"all outputs to the federation of minted deposits"`
	Uncredited   uint64 `json:"uncredited" doc:"of them, what no account was credited"`
	Fetched      uint64 `json:"fetched" doc:"coins spent by payments without a minted deposit or change behind them"`
	Requested    uint64 `json:"requested" doc:"asked for by requests that are to be paid"`
	Pending      uint64 `json:"pending" doc:"of them, not proposed yet"`
	Paid         uint64 `json:"paid" doc:"outputs of payments to users"`
	UserFees     uint64 `json:"userFees" doc:"what users got less than they asked for"`
	BitcoinFees  uint64 `json:"bitcoinFees" doc:"left to Bitcoin's miners by payments"`
	Drift        int64  `json:"drift" doc:"what the pool paid of these fees; above 0 it is under-collateralised by that"`
	Stray        uint64 `json:"stray" doc:"outputs of payments that no request asks for"`
	Ignored      uint64 `json:"ignored" doc:"burned by requests that are never paid"`
	DustWei      uint64 `json:"dustWei" doc:"wei burned below a satoshi"`
	UnbackedGwei int64  `json:"unbackedGwei" doc:"gwei of withdrawals beside fee shares and credits"`
	Unknown      uint64 `json:"unknown" doc:"minted deposits whose transaction is not here yet: the sums lack them"`
}
