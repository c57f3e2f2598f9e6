package message

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// The states of a deposit, in the order of its life, then its dead ends.
const (
	PegInSeen       uint8 = 1  // in a Bitcoin block, not deep enough
	PegInConfirmed  uint8 = 2  // as deep as required
	PegInQueued     uint8 = 3  // waits for a block of this member
	PegInProposed   uint8 = 4  // in a block that is not connected
	PegInMinted     uint8 = 5  // in a block of the head's branch
	PegInFinalized  uint8 = 6  // in a block that is final
	PegInReorgedOut uint8 = 7  // its Bitcoin block left the best chain
	PegInNone       uint8 = 8  // pays the federation and credits nobody
	PegInDouble     uint8 = 9  // listed again by a block, after it was minted
	PegInBelow      uint8 = 10 // below this member's policy
)

// The states of a request, in the order of its life; an ignored one is never paid.
const (
	PegOutRequested uint8 = 1
	PegOutIgnored   uint8 = 2
	PegOutCarried   uint8 = 3 // passed over by the next block's payment
	PegOutProposed  uint8 = 4
	PegOutFinalized uint8 = 5 // its payment's signatures are in a carrier
	PegOutConfirmed uint8 = 6 // its payment is as deep in Bitcoin as asked for
	PegOutReverted  uint8 = 7 // its block left the head's branch
)

// The states of a payment, in the order of its life, then its other ends.
const (
	PaymentProposed  uint8 = 1
	PaymentSigning   uint8 = 2 // this member has decided to sign
	PaymentSigned    uint8 = 3 // as many members as needed have
	PaymentFinalized uint8 = 4 // in a carrier
	PaymentBroadcast uint8 = 5 // Bitcoin's mempool has it
	PaymentMined     uint8 = 6
	PaymentConfirmed uint8 = 7 // as deep as asked for
	PaymentAbandoned uint8 = 8 // its block is off the head's branch
	PaymentReplaced  uint8 = 9 // another payment spends one of its inputs
)

// PegInChanged is the fact that a deposit came into another state.
type PegInChanged struct {
	Txid          chainhash.Hash
	State         uint8          // one of the PegIn constants
	Reason        string         // of a dead end
	Amount        uint64         // satoshi
	Account       common.Address // on the sidechain
	BitcoinBlock  chainhash.Hash
	BitcoinHeight uint64
	BitcoinTip    uint64      // the height that Bitcoin was followed to
	Root          common.Hash // the block that mints it, from proposed on
	Number        uint64      // its height; before, the head's
}

// Type implements core.Message.
func (*PegInChanged) Type() string { return "peg_in_changed" }

// Schema implements core.Message.
func (*PegInChanged) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PegInChanged) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Uint8(2, &m.State)
	f.String(3, &m.Reason)
	f.Uint64(4, &m.Amount)
	f.Fixed(5, m.Account[:])
	f.Fixed(6, m.BitcoinBlock[:])
	f.Uint64(7, &m.BitcoinHeight)
	f.Uint64(8, &m.BitcoinTip)
	f.Fixed(9, m.Root[:])
	f.Uint64(10, &m.Number)
}

// PegOutChanged is the fact that a request came into another state. It is named by its
// transaction and log: after a reorganisation the same request may be in another block.
type PegOutChanged struct {
	Transaction   common.Hash // of the execution layer
	Log           uint32      // index of the log in its block
	State         uint8       // one of the PegOut constants
	Reason        string
	Amount        uint64         // satoshi asked for
	Paid          uint64         // satoshi of the output, from proposed on
	Script        []byte         // of the destination; empty when it has none
	Destination   string         // as it stands in the request, at most 90 bytes
	Account       common.Address // that asked
	Payment       chainhash.Hash // from proposed on
	Output        uint32         // its index there
	Root          common.Hash    // the block that requests; from proposed on the one that proposes, from finalised on the carrier
	Number        uint64         // its height
	BitcoinHeight uint64         // from confirmed on
}

// Type implements core.Message.
func (*PegOutChanged) Type() string { return "peg_out_changed" }

// Schema implements core.Message.
func (*PegOutChanged) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PegOutChanged) Fields(f *record.Fields) {
	f.Fixed(1, m.Transaction[:])
	f.Uint32(2, &m.Log)
	f.Uint8(3, &m.State)
	f.String(4, &m.Reason)
	f.Uint64(5, &m.Amount)
	f.Uint64(6, &m.Paid)
	f.Bytes(7, &m.Script)
	f.String(8, &m.Destination)
	f.Fixed(9, m.Account[:])
	f.Fixed(10, m.Payment[:])
	f.Uint32(11, &m.Output)
	f.Fixed(12, m.Root[:])
	f.Uint64(13, &m.Number)
	f.Uint64(14, &m.BitcoinHeight)
}

// PaymentChanged is the fact that a payment came into another state.
type PaymentChanged struct {
	Txid          chainhash.Hash
	State         uint8 // one of the Payment constants
	Reason        string
	Root          common.Hash    // the block that proposes it; from finalised on the carrier
	Number        uint64         // its height
	Signers       uint32         // how many members' signatures are known
	Fee           uint64         // satoshi
	Raw           record.Content // the transaction, with witnesses from finalised on
	BitcoinBlock  chainhash.Hash // from mined on
	BitcoinHeight uint64
	BitcoinTip    uint64 // the height that Bitcoin was followed to
	Members       uint64 // whose signatures are known: bit i is federation key i
}

// Type implements core.Message.
func (*PaymentChanged) Type() string { return "payment_changed" }

// Schema implements core.Message.
func (*PaymentChanged) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PaymentChanged) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Uint8(2, &m.State)
	f.String(3, &m.Reason)
	f.Fixed(4, m.Root[:])
	f.Uint64(5, &m.Number)
	f.Uint32(6, &m.Signers)
	f.Uint64(7, &m.Fee)
	f.Content(8, &m.Raw)
	f.Fixed(9, m.BitcoinBlock[:])
	f.Uint64(10, &m.BitcoinHeight)
	f.Uint64(11, &m.BitcoinTip)
	f.Uint64(12, &m.Members)
}

// WalletChanged is the fact that the wallet of the head's branch is another: at each
// connected block that the peg touches and after a reorganisation.
type WalletChanged struct {
	Root   common.Hash // the head
	Number uint64
	Totals *PegTotals
}

// Type implements core.Message.
func (*WalletChanged) Type() string { return "wallet_changed" }

// Schema implements core.Message.
func (*WalletChanged) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *WalletChanged) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	record.Optional(f, 3, &m.Totals)
}

// PegTotals are the sums of a wallet in satoshi from genesis to its block. They satisfy
// Deposited + Fetched = Coins + Paid + Stray + BitcoinFees, Requested = Paid + UserFees + Pending
// and UserFees + PoolDrift = BitcoinFees, exactly. docs/formats/peg-totals.md names each residue.
type PegTotals struct {
	Deposited   uint64 // all federation outputs of minted deposits
	Credited    uint64 // what these deposits credit
	Fetched     uint64 // what payments spend or return to the federation without a minted deposit or change behind it
	Coins       uint64 // unspent
	CoinCount   uint64
	Paid        uint64 // outputs to users
	BitcoinFees uint64 // inputs less outputs of payments
	UserFees    uint64 // what users got less than they asked for
	PoolDrift   int64  // what the pool paid of the fees
	Requested   uint64 // by requests that are to be paid
	Pending     uint64 // of them not proposed yet
	Ignored     uint64 // burned by requests that are never paid
	Dust        uint64 // wei burned below a satoshi
	Unbacked    int64  // gwei of withdrawals beside fee shares and credits
	Unknown     uint64 // minted deposits and inputs whose transaction is not here yet: the sums lack them
	Stray       uint64 // outputs of payments that no request asks for
}

// Fields implements record.Record.
func (m *PegTotals) Fields(f *record.Fields) {
	f.Uint64(1, &m.Deposited)
	f.Uint64(2, &m.Credited)
	f.Uint64(3, &m.Fetched)
	f.Uint64(4, &m.Coins)
	f.Uint64(5, &m.CoinCount)
	f.Uint64(6, &m.Paid)
	f.Uint64(7, &m.BitcoinFees)
	f.Uint64(8, &m.UserFees)
	f.Int64(9, &m.PoolDrift)
	f.Uint64(10, &m.Requested)
	f.Uint64(11, &m.Pending)
	f.Uint64(12, &m.Ignored)
	f.Uint64(13, &m.Dust)
	f.Int64(14, &m.Unbacked)
	f.Uint64(15, &m.Unknown)
	f.Uint64(16, &m.Stray)
}

// BitcoinTipChanged is the fact that Bitcoin was followed further, or back.
type BitcoinTipChanged struct {
	Height     uint64 // followed to
	Hash       chainhash.Hash
	NodeHeight uint64 // the Bitcoin node's tip
	FeeRate    uint64 // satoshi per 1000 vbytes in force
	Reverted   uint64 // Bitcoin blocks that were left
}

// Type implements core.Message.
func (*BitcoinTipChanged) Type() string { return "bitcoin_tip_changed" }

// Schema implements core.Message.
func (*BitcoinTipChanged) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BitcoinTipChanged) Fields(f *record.Fields) {
	f.Uint64(1, &m.Height)
	f.Fixed(2, m.Hash[:])
	f.Uint64(3, &m.NodeHeight)
	f.Uint64(4, &m.FeeRate)
	f.Uint64(5, &m.Reverted)
}

// BitcoinLost is the fact that the Bitcoin node cannot be asked; BitcoinTipChanged ends it.
type BitcoinLost struct {
	Grade  uint8 // a fault.Grade
	Reason string
}

// Type implements core.Message.
func (*BitcoinLost) Type() string { return "bitcoin_lost" }

// Schema implements core.Message.
func (*BitcoinLost) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BitcoinLost) Fields(f *record.Fields) {
	f.Uint8(1, &m.Grade)
	f.String(2, &m.Reason)
}

// PegHalted is the fact that the peg stands still until an operator resumes it: nothing is
// minted, proposed, judged or signed.
type PegHalted struct {
	Reason string
}

// Type implements core.Message.
func (*PegHalted) Type() string { return "peg_halted" }

// Schema implements core.Message.
func (*PegHalted) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PegHalted) Fields(f *record.Fields) {
	f.String(1, &m.Reason)
}

// PegResumed is the fact that an operator had the peg go on.
type PegResumed struct {
	Reason string
}

// Type implements core.Message.
func (*PegResumed) Type() string { return "peg_resumed" }

// Schema implements core.Message.
func (*PegResumed) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PegResumed) Fields(f *record.Fields) {
	f.String(1, &m.Reason)
}

// PegAlarm is the fact that the bridge refuses something that should not be, and goes on.
type PegAlarm struct {
	Rule   string // the signer rule or invariant
	Reason string
	Root   common.Hash    // the block concerned, or zero
	Txid   chainhash.Hash // the payment concerned, or zero
}

// Type implements core.Message.
func (*PegAlarm) Type() string { return "peg_alarm" }

// Schema implements core.Message.
func (*PegAlarm) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PegAlarm) Fields(f *record.Fields) {
	f.String(1, &m.Rule)
	f.String(2, &m.Reason)
	f.Fixed(3, m.Root[:])
	f.Fixed(4, m.Txid[:])
}
