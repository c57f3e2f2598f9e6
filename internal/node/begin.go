package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/settle"
	"github.com/AnduroProject/alys-go/snapshot"
)

// BeginOptions say where a node begins with the state that a quorum of members states.
type BeginOptions struct {
	DataDir     string
	ChainSpec   []byte // the chain that is trusted: its authorities are those whose statements count
	GenesisJSON []byte
	// Peers returns the peers that can be asked now.
	Peers func() []settle.Peer
	// Patience is how long is waited for a quorum of statements, and for peers; 0 means ten minutes.
	Patience time.Duration
	// Progress is told what is done, by one goroutine at a time; it may be nil.
	Progress func(BeginProgress)
	Logger   *slog.Logger
}

// BeginProgress is how far a beginning is.
type BeginProgress struct {
	Stage       string // "statements", "state", "blocks" or "journal"
	Done, Total uint64 // statements of the quorum, bytes, blocks, blocks
}

// Begun says what a journal begins with.
type Begun struct {
	Journal    string    `json:"journal"`
	Height     uint64    `json:"height"`
	Root       string    `json:"root"`
	Index      string    `json:"index"` // SHA-256 that the quorum states
	Members    []int     `json:"members"`
	Quorum     int       `json:"quorum"`
	StateBytes uint64    `json:"state_bytes"`
	Time       time.Time `json:"time"`
}

// Suffixes of the directories beside a data directory that is being made.
const (
	fetchedSuffix = ".fetched"
	beginSuffix   = ".beginning"
)

// askAgain is the pause between two rounds of asking.
const askAgain = 2 * time.Second

// Begin makes a data directory, which must not exist or hold the key of the peer id alone, whose journal begins at
// the newest final block whose state a quorum of the chain's authorities states: that state
// and the blocks up to it, fetched from peers and checked against the statements. What was
// fetched stays beside the directory until it is there, so that Begin goes on after an interruption.
// An incident holds signing, and the signatures of the blocks are audited while the node
// runs. Errors: Temporary when no quorum states anything, or peers do not give it; ErrRefused for a directory that is in use.
func Begin(ctx context.Context, o BeginOptions) (Begun, error) {
	if o.Patience == 0 {
		o.Patience = 10 * time.Minute
	}
	if err := o.mayBegin(); err != nil {
		return Begun{}, err
	}
	b := &beginning{BeginOptions: o}
	if err := b.chain(); err != nil {
		return Begun{}, err
	}
	if err := b.keepPeerKey(); err != nil {
		return Begun{}, err
	}
	if err := b.fetch(ctx); err != nil {
		return Begun{}, err
	}
	if err := b.make(ctx); err != nil {
		return Begun{}, err
	}
	return b.begun, fault.Wrap(fault.Fatal, os.RemoveAll(b.DataDir+fetchedSuffix), "removing what was fetched")
}

// mayBegin refuses a data directory that holds anything but the key of the peer id.
func (o *BeginOptions) mayBegin() error {
	entries, err := os.ReadDir(o.DataDir)
	for _, e := range entries {
		if err == nil && e.Name() != peerKeyFile {
			return refused("data directory %s is not empty, it has %s: a node begins at a checkpoint in a new one only", o.DataDir, e.Name())
		}
	}
	return nil
}

// keepPeerKey has a copy of the key of the peer id beside the data directory before that is
// replaced.
func (o *BeginOptions) keepPeerKey() error {
	key, err := os.ReadFile(filepath.Join(o.DataDir, peerKeyFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	kept := filepath.Clean(o.DataDir) + fetchedSuffix
	if err == nil {
		err = os.MkdirAll(kept, 0o700)
	}
	if err == nil {
		err = writeWhole(filepath.Join(kept, peerKeyFile), key, 0o600)
	}
	return fault.Wrap(fault.Fatal, err, "key of the peer id")
}

// takePeerKey puts the kept key into the directory that becomes the data directory.
func (o *BeginOptions) takePeerKey(dir string) error {
	key, err := os.ReadFile(filepath.Join(filepath.Clean(o.DataDir)+fetchedSuffix, peerKeyFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = writeWhole(filepath.Join(dir, peerKeyFile), key, 0o600)
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(o.DataDir, peerKeyFile)) // so that the directory can be replaced
	}
	return fault.Wrap(fault.Fatal, err, "key of the peer id")
}

// beginning is one run of [Begin].
type beginning struct {
	BeginOptions
	rules     *spec.Chain
	committee *aura.Committee
	spec      record.Content
	payload   record.Content
	genesis   common.Hash // root of block 0
	block0    *block.Signed
	fetched   *settle.Fetch
	telling   sync.Mutex
	agreed    checkpoint.Agreement
	index     *checkpoint.Index
	begun     Begun
}

func (b *beginning) progress(stage string, done, total uint64) {
	b.telling.Lock()
	defer b.telling.Unlock()
	if b.Progress != nil {
		b.Progress(BeginProgress{stage, done, total})
	}
}

// chain reads the chain that is trusted.
func (b *beginning) chain() error {
	c, unknown, err := spec.Parse(b.ChainSpec)
	if err != nil {
		return err
	}
	for _, key := range unknown {
		b.Logger.Warn("chain spec key is not known and has no effect", "key", key)
	}
	parsed, err := engine.ParseGenesis(b.GenesisJSON)
	if err != nil {
		return err
	}
	payload, err := engine.GenesisPayload(parsed)
	if err != nil {
		return err
	}
	if b.committee, err = aura.NewCommittee(c.Authorities); err != nil {
		return err
	}
	b.rules, b.spec, b.payload = c, record.NewContent(c.Encode()), record.NewContent(payload.Encode())
	b.block0 = block.Genesis(c, payload)
	b.genesis = b.block0.Block.Root()
	return nil
}

// fetch gets everything; what fails for want of peers is tried again for a while.
func (b *beginning) fetch(ctx context.Context) error {
	deadline := time.Now().Add(b.Patience)
	for {
		err := b.fetchOnce(ctx)
		if err == nil || !fault.Is(err, fault.Temporary) || ctx.Err() != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fault.Wrap(fault.Temporary, err, fmt.Sprintf("after %s", b.Patience))
		}
		b.Logger.Info("nothing to begin with yet", "reason", err)
		select {
		case <-ctx.Done():
			return fault.Wrap(fault.Temporary, ctx.Err(), "beginning at a checkpoint")
		case <-time.After(askAgain):
		}
	}
}

func (b *beginning) fetchOnce(ctx context.Context) error {
	peers := b.Peers()
	list, failed := settle.Statements(ctx, peers)
	agreements := checkpoint.Agreed(list, b.genesis, b.committee)
	if len(agreements) == 0 {
		b.progress("statements", uint64(len(list)), uint64(b.committee.Quorum()))
		return fault.New(fault.Temporary, "no quorum of %d members states the same: %d peers were asked, %d did not answer, %d statements came", b.committee.Quorum(), len(peers), len(failed), len(list))
	}
	b.agreed = agreements[0]
	b.progress("statements", uint64(len(b.agreed.Statements)), uint64(b.committee.Quorum()))
	b.fetched = &settle.Fetch{Peers: peers, Dir: b.DataDir + fetchedSuffix, Told: func(peer string, err error) {
		b.Logger.Warn("a peer is not asked any more for the state", "peer", peer, "error", err)
	}}
	b.fetched.Progress = func(done, total uint64) { b.progress("state", done, total) }
	var err error
	if b.index, err = b.fetched.State(ctx, b.agreed); err != nil {
		return err
	}
	b.fetched.Progress = func(done, total uint64) { b.progress("blocks", done, total) }
	return b.fetched.Blocks(ctx, b.agreed)
}

// make writes the data directory, there whole or not at all.
func (b *beginning) make(ctx context.Context) error {
	states, err := settle.Load(b.index, b.fetched.Part, Behaviour, b.spec, b.payload)
	if err != nil {
		return err
	}
	if states.Chain.Genesis != b.genesis {
		return fault.New(fault.Corrupt, "the stated chain begins with %s, this one with %s", states.Chain.Genesis, b.genesis)
	}
	dir := filepath.Clean(b.DataDir) + beginSuffix
	if err := os.RemoveAll(dir); err != nil {
		return fault.Wrap(fault.Fatal, err, "removing what an interrupted beginning left")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Fatal, err, "data directory")
	}
	if err := b.write(ctx, dir, states); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := b.takePeerKey(dir); err != nil {
		return err
	}
	return moveSynced(dir, b.DataDir)
}

func (b *beginning) write(ctx context.Context, dir string, states *settle.States) error {
	r := &restoring{ctx: ctx, log: b.Logger, genesis: b.GenesisJSON, spec: b.spec.Data, payload: b.payload.Data, contents: states.Contents, state: states.Chain, peg: states.Bridge}
	r.from = snapshot.Manifest{Root: b.index.StatesRoot}
	r.from.Hash = b.agreed.Index
	r.progress = func(blocks uint64) { b.progress("journal", blocks, b.agreed.Number+1) }
	text := fmt.Sprintf("began with the state at block %d %s, index %x, that %d of %d members state", b.agreed.Number, b.agreed.Root.Hex(), b.agreed.Index, len(b.agreed.Statements), b.committee.Len())
	if err := r.write(dir, text, func() error { return b.blocks(r) }); err != nil {
		return err
	}
	_, total := b.index.Parts()
	b.begun = Begun{
		Journal: r.result.Journal, Height: b.agreed.Number, Root: b.agreed.Root.Hex(), Index: common.Hash(b.agreed.Index).Hex(),
		Quorum: b.committee.Quorum(), StateBytes: total, Time: time.Now().UTC(),
	}
	for _, s := range b.agreed.Statements {
		b.begun.Members = append(b.begun.Members, int(s.Authority))
	}
	begun, err := json.Marshal(auditFile{Begun: b.begun, Audited: 0, Statements: b.agreed.Statements})
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "what the journal began with")
	}
	return writeSynced(filepath.Join(dir, auditName), begun)
}

// blocks hands the fetched blocks to the journal, genesis first, and gives those that the
// state has what it leaves out: the approvals and the bytes that this journal has of them.
func (b *beginning) blocks(r *restoring) error {
	fact := message.BlockConnected{
		Root: b.genesis, PayloadHash: b.block0.Block.Payload.BlockHash, StateRoot: b.block0.Block.Payload.StateRoot,
		Timestamp: b.block0.Block.Payload.Timestamp, Transactions: uint32(len(b.block0.Block.Payload.Transactions)), Carrier: true,
	}
	if err := r.take(fact); err != nil {
		return err
	}
	for _, first := range settle.Runs(b.agreed.Number) {
		list, err := b.fetched.Run(first)
		if err != nil {
			return err
		}
		for i, raw := range list {
			if err := b.block(r, raw); err != nil {
				return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("block %d that was fetched", first+uint64(i)))
			}
		}
	}
	return r.flush()
}

func (b *beginning) block(r *restoring, raw []byte) error {
	signed, err := block.Decode(raw)
	if err != nil {
		return err
	}
	p := &signed.Block.Payload
	fact := message.BlockConnected{
		Root: signed.Block.Root(), Number: p.BlockNumber, Parent: signed.Block.ParentHash, Slot: signed.Block.Slot,
		PayloadHash: p.BlockHash, StateRoot: p.StateRoot, Timestamp: p.Timestamp, Transactions: uint32(len(p.Transactions)),
		Signed: record.NewContent(raw), Carrier: signed.Block.AuxPowHeader != nil,
	}
	if fact.Parent != r.last.Root || fact.Number != r.last.Number+1 {
		return fault.New(fault.Corrupt, "it is block %s at %d and does not follow block %s at %d", fact.Root, fact.Number, r.last.Root, r.last.Number)
	}
	if e := r.state.Entry(fact.Root); e != nil {
		fact.Fees = e.Fees
		r.state.Approved(fact.Root, signed.Approvals, fact.Signed.Hash)
	}
	return r.take(fact)
}
