package bridge

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// stage is where a deposit stands.
type stage struct {
	state  uint8
	reason string
	mint   message.BlockID // the block that mints it or proposes to
}

// reading is what a deposit credits in a block at a height as this member signs it, and
// why it signs none. Before the activation of the strict rule both rules must agree:
// members of legacy count by theirs. (peg.md A3)
func (s *State) reading(d *Deposit, number uint64) (peg.PegIn, string) {
	f := s.rules.federation
	strict, ok := f.StrictPegIn(d.tx)
	if s.strictPegIns(number) {
		if !ok {
			return peg.PegIn{}, f.PegInReason(d.tx, true)
		}
		return strict, ""
	}
	loose, credits := f.PegIn(d.tx)
	switch {
	case !credits:
		return peg.PegIn{}, f.PegInReason(d.tx, false)
	case !ok:
		return peg.PegIn{}, f.PegInReason(d.tx, true)
	case loose != strict:
		return peg.PegIn{}, fmt.Sprintf("it credits %d satoshi to %s by legacy's rule and %d to %s by the strict one", loose.Amount, loose.Account, strict.Amount, strict.Account)
	}
	return loose, ""
}

// stageOf computes where a deposit stands on the head's branch, apart from blocks that
// only propose it.
func (s *State) stageOf(d *Deposit) stage {
	head, final := s.Block(s.Head.Root), s.Block(s.Finalized.Root)
	next := uint64(1)
	if head != nil {
		next = head.Number + 1
		if m, ok := head.Wallet.minted.Get(Mint{Txid: d.Txid}); ok {
			at := stage{state: message.PegInMinted, mint: s.onBranch(head, m.Number)}
			if final != nil && final.Wallet.Minted(d.Txid) {
				at.state = message.PegInFinalized
			}
			return at
		}
	}
	in, none := s.reading(d, next)
	switch {
	case !d.Followed:
		return stage{state: message.PegInReorgedOut, reason: "its Bitcoin block left the best chain"}
	case none != "":
		return stage{state: message.PegInNone, reason: none}
	case in.Amount < minPegIn:
		return stage{state: message.PegInBelow, reason: fmt.Sprintf("%d satoshi are less than the %d that are worth spending", in.Amount, minPegIn)}
	case s.depth(d.Height) < s.requiredOf(d):
		return stage{state: message.PegInSeen}
	default:
		return stage{state: message.PegInQueued}
	}
}

// onBranch names the block of a branch at a height; its root is zero below the blocks
// that are kept.
func (s *State) onBranch(b *Block, number uint64) message.BlockID {
	for ; b != nil && b.Number > number; b = s.Block(b.Parent) {
	}
	if b == nil || b.Number != number {
		return message.BlockID{Number: number}
	}
	return b.id()
}

// restage tells where deposits stand now, each whose state has changed.
func (x *turn) restage(txids []chainhash.Hash) {
	for _, txid := range txids {
		d := x.Deposit(txid)
		if d == nil {
			continue
		}
		at := x.stageOf(d)
		if d.State == 0 && at.state <= message.PegInQueued && at.state != message.PegInSeen {
			x.tell(d, stage{state: message.PegInSeen})
		}
		if at.state == message.PegInQueued {
			if b := x.Block(d.Root); d.State == message.PegInProposed && b != nil {
				continue // the block that proposes it is kept
			}
			if d.State < message.PegInConfirmed || d.State > message.PegInFinalized {
				x.tell(x.Deposit(txid), stage{state: message.PegInConfirmed})
			}
		}
		x.tell(x.Deposit(txid), at)
		if x.settled(txid) {
			x.dropDeposit(x.Deposit(txid))
		}
	}
}

// tell has a deposit come into another state.
func (x *turn) tell(d *Deposit, at stage) {
	if d.State == at.state && d.Reason == at.reason && d.Root == at.mint.Root {
		return
	}
	c := *d
	c.State, c.Reason, c.Root, c.Number = at.state, at.reason, at.mint.Root, at.mint.Number
	x.putDeposit(&c)
	x.factPegIn(&c, at)
}

func (x *turn) factPegIn(d *Deposit, at stage) {
	number, reads := x.Head.Number, x.Head.Number+1
	if at.mint.Number != 0 {
		number, reads = at.mint.Number, at.mint.Number
	}
	fact := &message.PegInChanged{
		Txid: d.Txid, State: at.state, Reason: at.reason, BitcoinBlock: d.Block, BitcoinHeight: d.Height,
		BitcoinTip: x.Following.Top.Height, Root: at.mint.Root, Number: number,
	}
	if d.tx != nil {
		in, _ := x.credit(d.tx, reads)
		fact.Amount, fact.Account = in.Amount, in.Account
		if fact.Amount == 0 {
			fact.Amount = x.received(d)
		}
	}
	x.out.Fact(fact)
}

// received is what a deposit pays the federation by legacy's rule, in satoshi.
func (s *State) received(d *Deposit) (sum uint64) {
	for _, out := range d.tx.TxOut {
		if s.rules.federation.Owns(out.PkScript) {
			sum = plus(sum, uint64(out.Value))
		}
	}
	return sum
}

// named returns a deposit that a block lists; of one whose transaction is not here
// nothing but its name is known.
func (s *State) named(id message.DepositID) *Deposit {
	if d := s.Deposit(id.Txid); d != nil {
		return d
	}
	return &Deposit{Txid: id.Txid, Block: id.Block}
}

// move has a deposit that a block lists come into another state.
func (x *turn) move(id message.DepositID, at stage) {
	d := x.named(id)
	if d.tx == nil {
		x.factPegIn(d, at)
		return
	}
	x.tell(d, at)
}

// propose tells of the deposits that a block lists which is not connected.
func (x *turn) propose(b *message.PegBlock) {
	for _, id := range b.PegIns {
		if d := x.Deposit(id.Txid); d != nil && d.State < message.PegInProposed {
			x.tell(d, stage{state: message.PegInProposed, mint: message.BlockID{Root: b.Root, Number: b.Number}})
		}
	}
}

// connectDeposits tells of the deposits that a connected block mints.
func (x *turn) connectDeposits(b *Block) {
	var parent *Wallet
	if p := x.Block(b.Parent); p != nil {
		parent = p.Wallet
	}
	for i, id := range b.PegIns {
		at := stage{state: message.PegInMinted, mint: b.id()}
		if parent != nil && parent.Minted(id.Txid) || listed(b.PegIns[:i], id.Txid) {
			at.state, at.reason = message.PegInDouble, fmt.Sprintf("block %d lists it again", b.Number)
			x.factPegIn(x.named(id), at)
			m, _ := b.Wallet.minted.Get(Mint{Txid: id.Txid})
			x.factPegIn(x.named(id), stage{state: message.PegInMinted, mint: x.onBranch(b, m.Number)})
			continue
		}
		x.move(id, at)
	}
}

// revertDeposits tells of the deposits that a reverted block had minted: they are
// proposed by it, and wait again when it is dropped.
func (x *turn) revertDeposits(b *Block) {
	parent := x.Block(b.Parent)
	for i, id := range b.PegIns {
		if parent.Wallet.Minted(id.Txid) || listed(b.PegIns[:i], id.Txid) {
			continue
		}
		x.move(id, stage{state: message.PegInProposed, mint: b.id()})
	}
}

// finalizeDeposits tells of the deposits that a final block minted.
func (x *turn) finalizeDeposits(b *Block) {
	for i, id := range b.PegIns {
		m, _ := b.Wallet.minted.Get(Mint{Txid: id.Txid})
		if m.Number == b.Number && !listed(b.PegIns[:i], id.Txid) {
			x.move(id, stage{state: message.PegInFinalized, mint: b.id()})
		}
	}
}

func listed(list []message.DepositID, txid chainhash.Hash) bool {
	for i := range list {
		if list[i].Txid == txid {
			return true
		}
	}
	return false
}

// forgetDeposits ends the life of deposits that dropped blocks minted: those that the
// base has are done, others wait again.
func (x *turn) forgetDeposits(gone []*Block, base *Block) {
	var rest []chainhash.Hash
	for _, b := range append(gone, base) {
		for _, id := range b.PegIns {
			d := x.Deposit(id.Txid)
			switch {
			case d == nil:
			case base.Wallet.Minted(id.Txid) && !base.Wallet.Unknown(id.Txid):
				x.dropDeposit(d)
			default:
				rest = append(rest, id.Txid)
			}
		}
	}
	x.restage(rest)
}

// settled reports whether a deposit is minted in the base, with its transaction.
func (s *State) settled(txid chainhash.Hash) bool {
	base := s.Block(s.Base.Root)
	return base != nil && base.Wallet.Minted(txid) && !base.Wallet.Unknown(txid)
}

// ripe returns the deposits that have become deep enough since Bitcoin was followed to
// another height.
func (s *State) ripe(before uint64) (txids []chainhash.Hash) {
	txids = s.ripeAt(before, s.required())
	if s.required() >= maturity {
		return txids
	}
	for _, txid := range s.ripeAt(before, maturity) {
		if isCoinbase(s.Deposit(txid).tx) {
			txids = append(txids, txid)
		}
	}
	return txids
}

func (s *State) ripeAt(before, required uint64) (txids []chainhash.Hash) {
	b := &s.Following
	if !b.HasTop || b.Top.Height+1 < required {
		return nil
	}
	from := before + 2 - min(before+2, required) // the lowest height that was not deep enough
	s.placed.Ascend(place{height: from}, func(p place) bool {
		if s.depth(p.height) < required {
			return false
		}
		txids = append(txids, p.txid)
		return true
	})
	return txids
}

// readAgain tells what deposits are that another rule reads from now on.
func (x *turn) readAgain() {
	var txids []chainhash.Hash
	x.deposits.Scan(func(d *Deposit) bool {
		txids = append(txids, d.Txid)
		return true
	})
	x.restage(txids)
}
