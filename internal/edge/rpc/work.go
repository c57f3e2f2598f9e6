package rpc

import (
	"context"
	"encoding/hex"
	"sync"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

const (
	// maxWork is how much work the desk remembers, the oldest forgotten first. There
	// is one for each range, whoever asks, so nobody can push another's out.
	maxWork = 128
	// maxAsked is how many pairs of client and recipient are remembered.
	maxAsked = 4096
)

// desk gives work out and takes proofs in. It keeps pollers away from the
// sequencer: work does not depend on who asks, so one turn serves everybody until
// something changes, and a proof becomes a turn only when its structure and its hash
// are right.
type desk struct {
	backend Backend

	mu       sync.Mutex
	asking   *asking // the turn under way; nil for none
	current  *message.AuxBlock
	revision uint64 // of current
	named    bool   // current was asked for by somebody, whom the miner actor noted
	work     map[[32]byte]Work
	order    [][32]byte // of work, oldest first
	asked    map[asker]common.Address
	askers   []asker // of asked, oldest first
}

// asker is who asked for which work: the proof does not say who gets the fees.
type asker struct {
	client string
	hash   [32]byte
}

func newDesk(b Backend) *desk {
	d := &desk{backend: b, work: map[[32]byte]Work{}, asked: map[asker]common.Address{}}
	for _, w := range b.HandedOut() {
		d.remember(w)
	}
	return d
}

// remember keeps work; of the oldest it keeps no more than maxWork.
func (d *desk) remember(w Work) {
	if _, known := d.work[w.Hash]; known {
		return
	}
	if len(d.order) >= maxWork {
		delete(d.work, d.order[0])
		d.order = d.order[1:]
	}
	d.work[w.Hash] = w
	d.order = append(d.order, w.Hash)
}

func (d *desk) noteAsker(a asker, recipient common.Address) {
	if _, known := d.asked[a]; !known {
		if len(d.askers) >= maxAsked {
			delete(d.asked, d.askers[0])
			d.askers = d.askers[1:]
		}
		d.askers = append(d.askers, a)
	}
	d.asked[a] = recipient
}

// create returns the work of now for a client whose fees go to recipient.
func (d *desk) create(ctx context.Context, client string, recipient common.Address) (*message.AuxBlock, error) {
	work, err := d.now(ctx, recipient)
	if err == nil && work.Error == "" {
		d.mu.Lock()
		d.noteAsker(asker{client, work.Hash}, recipient)
		d.mu.Unlock()
	}
	return work, err
}

// asking is a turn under way, for all that wait for it.
type asking struct {
	done chan struct{} // closed when work and err are there
	work *message.AuxBlock
	err  error
}

// now returns the last answer while nothing changed since, else that of one turn, for
// which everybody waits who asks meanwhile. A zero recipient asks for nobody; the first
// who asks for work then makes another turn, so that it is known after a restart whose
// the work is.
func (d *desk) now(ctx context.Context, recipient common.Address) (*message.AuxBlock, error) {
	nobody := recipient == common.Address{}
	d.mu.Lock()
	for d.asking != nil {
		turn := d.asking
		d.mu.Unlock()
		select {
		case <-turn.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if turn.err != nil {
			return nil, turn.err // what fails for one would fail for all
		}
		d.mu.Lock()
	}
	if d.current != nil && d.revision == d.backend.Revision() && (d.named || nobody) {
		defer d.mu.Unlock()
		return d.current, nil
	}
	turn := &asking{done: make(chan struct{})}
	d.asking = turn
	d.mu.Unlock()
	// The turn is made whether its asker waits or not: a client that asks and leaves
	// must not make the next one's turn needed.
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	go func() {
		defer cancel()
		d.ask(detached, recipient, turn)
	}()
	select {
	case <-turn.done:
		return turn.work, turn.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask makes the turn. Its answer is kept only when nothing changed around it.
func (d *desk) ask(ctx context.Context, recipient common.Address, turn *asking) {
	before := d.backend.Revision()
	turn.work, turn.err = d.backend.CreateAuxBlock(ctx, recipient)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asking = nil
	close(turn.done)
	if turn.err != nil {
		return
	}
	w := turn.work
	d.current = nil
	if before == d.backend.Revision() {
		d.current, d.revision, d.named = w, before, recipient != common.Address{}
	}
	if w.Error == "" {
		d.remember(Work{Hash: w.Hash, ChainID: w.ChainID, RangeStart: w.RangeStart, RangeEnd: w.RangeEnd, Height: w.Height, Bits: w.Bits})
	}
}

// submission is a proof as it was handed in.
type submission struct {
	hash  [32]byte
	raw   []byte // Namecoin layout
	proof *auxpow.AuxPow
	// recipient is who gets the fees; nil for the one this client asked work for.
	recipient *common.Address
}

// rejection is why a proof was not taken.
type rejection struct {
	check  auxpow.Reject
	reason string
}

// submit judges a proof, and hands it to the miner actor when nothing speaks against
// it. A nil rejection without error says that the proof is queued.
func (d *desk) submit(ctx context.Context, client string, s submission) (*rejection, error) {
	_, recipient := d.whose(client, s)
	if no, err := d.judge(ctx, s.hash, s.proof); no != nil || err != nil {
		return no, err
	}
	m := &message.SubmitAuxBlock{Hash: s.hash, AuxPow: s.raw}
	if recipient != nil {
		m.HasRecipient, m.FeeRecipient = true, *recipient
	}
	judged, err := d.backend.SubmitAuxBlock(ctx, m)
	if err != nil || judged.Accepted {
		return nil, err
	}
	return &rejection{auxpow.Reject(judged.Check), judged.Reason}, nil
}

// whose returns the work of a submission, and who gets its fees: the account that it
// names, else the one for which this client asked, else nil: the first that asked.
func (d *desk) whose(client string, s submission) (Work, *common.Address) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.recipient != nil {
		return d.work[s.hash], s.recipient
	}
	if recipient, asked := d.asked[asker{client, s.hash}]; asked {
		return d.work[s.hash], &recipient
	}
	return d.work[s.hash], nil
}

func (d *desk) known(hash [32]byte) (Work, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	work, known := d.work[hash]
	return work, known
}

// openWork lists the work that is remembered, without a turn.
func (d *desk) openWork() []openWork {
	revision := d.backend.Revision()
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []openWork{}
	for _, hash := range d.order {
		w := d.work[hash]
		o := openWork{
			Hash: hex.EncodeToString(hash[:]), ChainID: w.ChainID, Height: w.Height, RangeStart: w.RangeStart.Hex(), RangeEnd: w.RangeEnd.Hex(),
			Current: d.current != nil && d.revision == revision && d.current.Error == "" && d.current.Hash == hash,
		}
		if w.Bits != 0 {
			o.Bits = bitsText(w.Bits)
		}
		list = append(list, o)
	}
	return list
}

// judge makes every check that needs no turn. (C8 f, g; C13)
func (d *desk) judge(ctx context.Context, hash [32]byte, proof *auxpow.AuxPow) (*rejection, error) {
	work, known := d.known(hash)
	if !known {
		return &rejection{auxpow.UnknownWork, "no work with this hash was handed out; ask for work again"}, nil
	}
	now, err := d.now(ctx, common.Address{})
	if err != nil {
		return nil, err
	}
	if now.RangeStart != work.RangeStart {
		return &rejection{auxpow.StaleWork, "blocks of its range are final, or left the head's branch; ask for work again"}, nil
	}
	if check, reason := proof.Judge(chainhash.Hash(hash), now.ChainID, now.Bits); check != "" {
		return &rejection{check, reason}, nil
	}
	queued, err := d.backend.QueuedWork(ctx)
	if err == nil && queued != nil && queued.RangeStart == work.RangeStart && queued.RangeEnd == work.RangeEnd {
		return &rejection{auxpow.DuplicateWork, "a proof for this range waits already"}, nil
	}
	return nil, err
}
