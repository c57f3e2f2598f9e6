package peg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// outlook is what estimates are made from. The zero value estimates nothing.
type outlook struct {
	chain       chain
	tip         tip
	bitcoinPace float64 // seconds a Bitcoin block, 0 while unknown
	chainPace   float64 // seconds a block
	rangePace   uint64  // blocks from carrier to carrier, 0 while unknown
	presentOnly bool    // estimates are of now; a question as of then has none
}

// observedBlocks is how many Bitcoin blocks the observed time between them is of.
const observedBlocks = 144

// look reads the outlook as of a key of tips, nil for now.
func look(r derived.Reader, before []byte) (*outlook, error) {
	o := &outlook{presentOnly: before == nil}
	if _, err := read(r, keyChain, &o.chain); err != nil {
		return nil, err
	}
	t, err := latestTip(r, before)
	if err != nil {
		return nil, err
	}
	if t != nil {
		o.tip = *t
	}
	o.chainPace = pace(o.chain.Times)
	if n := len(o.chain.Carriers); n > 2 {
		o.rangePace = (o.chain.Carriers[n-1] - o.chain.Carriers[1]) / uint64(n-2) // genesis is no observation
	}
	return o, o.observe(r)
}

// pace is the median time between blocks in seconds, 0 while unknown: a chain that stood
// still for a while is not slow.
func pace(times []blockTime) float64 {
	var gaps []float64
	for i := 1; i < len(times); i++ {
		if a, b := times[i-1], times[i]; b.Number > a.Number && b.Time >= a.Time {
			gaps = append(gaps, float64(b.Time-a.Time)/float64(b.Number-a.Number))
		}
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// observe computes the time between Bitcoin blocks from their headers.
func (o *outlook) observe(r derived.Reader) error {
	type point struct{ height, time uint64 }
	at := func(low, high []byte, reverse bool) (p point, ok bool, err error) {
		failed := r.Scan(low, high, reverse, func(key, value []byte) bool {
			var h header
			if err = decode(key, value, &h); err == nil && len(key) == 9 {
				p, ok = point{binary.BigEndian.Uint64(key[1:]), uint64(binary.LittleEndian.Uint32(h.Header[68:]))}, true
			}
			return false
		})
		return p, ok, errors.Join(failed, err)
	}
	last, ok, err := at([]byte{prefixHeader}, []byte{prefixHeader + 1}, true)
	if err != nil || !ok {
		return err
	}
	first, _, err := at(keyNumber(prefixHeader, last.height-min(last.height, observedBlocks)), []byte{prefixHeader + 1}, false)
	if err == nil && last.height > first.height && last.time > first.time {
		o.bitcoinPace = float64(last.time-first.time) / float64(last.height-first.height)
	}
	return err
}

// depth is how deep a Bitcoin height is, itself included.
func (o *outlook) depth(height uint64) uint64 {
	if height == 0 || o.tip.Height < height {
		return 0
	}
	return o.tip.Height - height + 1
}

func minutes(blocks uint64, pace float64) uint64 { return uint64(float64(blocks)*pace/60 + 0.5) }

func (o *outlook) bitcoinBlocks(n uint64) *Estimate {
	if o.presentOnly && n > 0 {
		return &Estimate{Chain: "bitcoin", Blocks: n, Minutes: minutes(n, o.bitcoinPace)}
	}
	return nil
}

func (o *outlook) chainBlocks(n uint64) *Estimate {
	if o.presentOnly && n > 0 {
		return &Estimate{Chain: "alys", Blocks: n, Minutes: minutes(n, o.chainPace)}
	}
	return nil
}

// carrier estimates when the next block with work comes, by the mean of the last ones.
func (o *outlook) carrier() *Estimate {
	if o.rangePace == 0 {
		return nil
	}
	due := o.chain.Carriers[len(o.chain.Carriers)-1] + o.rangePace
	return o.chainBlocks(max(due, o.chain.Head.Number+1) - o.chain.Head.Number)
}

// add says how deep it is, what comes next and when.
func (o *outlook) add(p *Peg, e *entry, payment *entry) {
	switch {
	case e.PegIn != nil:
		o.addDeposit(p, e.PegIn)
	case e.PegOut != nil:
		o.addRequest(p, e.PegOut, payment)
	case e.Payment != nil:
		o.addPayment(p, e.Payment)
	}
	if o.chain.HaltedSince != 0 && !p.Done {
		p.Next, p.Estimate = "the peg is halted until an operator resumes it: "+o.chain.HaltReason, nil
	}
}

func (o *outlook) addDeposit(p *Peg, m *message.PegInChanged) {
	if m.State != message.PegInReorgedOut {
		p.Confirmations = o.depth(m.BitcoinHeight)
	}
	switch m.State {
	case message.PegInSeen:
		p.ConfirmationsLeft = o.chain.Confirmations - min(p.Confirmations, o.chain.Confirmations)
		p.Next = fmt.Sprintf("%d more Bitcoin blocks, then a member's block can mint it", p.ConfirmationsLeft)
		p.Estimate = o.bitcoinBlocks(p.ConfirmationsLeft)
	case message.PegInConfirmed, message.PegInQueued:
		p.Next, p.Estimate = "a member's block mints it", o.chainBlocks(1)
	case message.PegInProposed:
		p.Next, p.Estimate = "the block that mints it needs its quorum", o.chainBlocks(1)
	case message.PegInMinted:
		p.Next, p.Estimate = "the account has it; a block with work makes it final", o.carrier()
	case message.PegInFinalized:
		p.Next, p.Done = "nothing: it is final", true
	case message.PegInReorgedOut:
		p.Next = "Bitcoin left its block; it is seen again when another block has it"
	case message.PegInNone:
		p.Next, p.Done = "nothing: it credits nobody, and the bitcoins stay with the federation; ask its members", true
	case message.PegInDouble:
		p.Next, p.Done = "nothing: it was minted before", true
	case message.PegInBelow:
		p.Next, p.Done = "nothing: this member's policy does not list it; another member's block may", true
	}
}

func (o *outlook) addRequest(p *Peg, m *message.PegOutChanged, payment *entry) {
	if payment != nil {
		paid := payment.Payment
		p.Signers, p.BitcoinBlock = paid.Signers, bitcoinHash(paid.BitcoinBlock)
		if p.BitcoinHeight == 0 {
			p.BitcoinHeight = paid.BitcoinHeight
		}
	}
	p.Confirmations = o.depth(p.BitcoinHeight)
	switch m.State {
	case message.PegOutRequested:
		p.Next, p.Estimate = "the next block proposes its payment", o.chainBlocks(1)
	case message.PegOutCarried:
		p.Next, p.Estimate = "it could not be paid with the others; a later block proposes its payment", o.chainBlocks(1)
	case message.PegOutIgnored:
		p.Next, p.Done = "nothing: it is never paid, and what was sent is burned", true
	case message.PegOutProposed:
		p.Next, p.Estimate = "a block with work finalises its payment, once the members have signed", o.carrier()
	case message.PegOutFinalized:
		p.ConfirmationsLeft = o.chain.PayoutConfirmations - min(p.Confirmations, o.chain.PayoutConfirmations)
		p.Next = "Bitcoin mines the payment"
		if p.Confirmations > 0 {
			p.Next = fmt.Sprintf("mined; %d more Bitcoin blocks until it is called confirmed", p.ConfirmationsLeft)
		}
		p.Estimate = o.bitcoinBlocks(max(p.ConfirmationsLeft, 1))
	case message.PegOutConfirmed:
		p.Next, p.Done = "nothing: it is paid", true
	case message.PegOutReverted:
		p.Next = "its block left the head's branch; it is asked for again when another block has the transaction"
	}
}

func (o *outlook) addPayment(p *Peg, m *message.PaymentChanged) {
	p.Confirmations = o.depth(m.BitcoinHeight)
	switch m.State {
	case message.PaymentProposed:
		p.Next, p.Estimate = "members sign it when work over its block is found", o.carrier()
	case message.PaymentSigning:
		p.Next, p.Estimate = fmt.Sprintf("signatures of %d members are known; the others' are waited for", m.Signers), o.carrier()
	case message.PaymentSigned:
		p.Next, p.Estimate = "a block with work finalises it", o.carrier()
	case message.PaymentFinalized:
		p.Next, p.Estimate = "it is given to Bitcoin", o.bitcoinBlocks(1)
	case message.PaymentBroadcast:
		p.Next, p.Estimate = "Bitcoin mines it; it is given to Bitcoin again until then", o.bitcoinBlocks(1)
	case message.PaymentMined:
		p.ConfirmationsLeft = o.chain.PayoutConfirmations - min(p.Confirmations, o.chain.PayoutConfirmations)
		p.Next = fmt.Sprintf("%d more Bitcoin blocks until it is called confirmed", p.ConfirmationsLeft)
		p.Estimate = o.bitcoinBlocks(p.ConfirmationsLeft)
	case message.PaymentConfirmed:
		p.Next, p.Done = "nothing: it is confirmed", true
	case message.PaymentAbandoned:
		p.Next = "its block left the head's branch; a payment there must spend one of its inputs"
	case message.PaymentReplaced:
		p.Next, p.Done = "nothing: another payment spends one of its inputs", true
	}
}
