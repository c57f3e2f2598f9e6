package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/archive"
	"github.com/AnduroProject/alys-go/snapshot"
	"github.com/AnduroProject/alys-go/snapshot/exportfile"
)

// Restored says what [RestoreSnapshot] made of an export.
type Restored struct {
	Snapshot SnapshotInfo `json:"snapshot"`
	Blocks   uint64       `json:"blocks"`
	Height   uint64       `json:"height"`
	Head     string       `json:"head"`
	// Journal is the identity of the journal that was begun; empty when the
	// snapshot went back to the node that took it, or was only checked.
	Journal string `json:"journal,omitempty"`
}

// RestoreSnapshot reads an export whole and checks it. With an empty dataDir that
// is all. A data directory whose journal took the snapshot gets it back. In any
// other place, which must not exist or be empty, it begins a new journal: the
// blocks and the states of chain and peg that depend on them alone are its first
// turns, and an incident holds signing. The directory is there whole or not at all.
func RestoreSnapshot(ctx context.Context, from io.Reader, dataDir string, storage archive.Storage, log *slog.Logger, progress func(blocks uint64)) (Restored, error) {
	r := &restoring{ctx: ctx, storage: storage, log: log, progress: progress}
	var err error
	if r.in, err = exportfile.NewReader(from); err != nil {
		return Restored{}, err
	}
	if dataDir == "" {
		return r.result, r.check()
	}
	if _, err := os.Stat(JournalDir(dataDir)); err == nil {
		return r.result, r.own(dataDir)
	}
	if entries, err := os.ReadDir(dataDir); err == nil && len(entries) > 0 {
		return r.result, refused("data directory %s is not empty and holds no journal: name a new one", dataDir)
	}
	temporary := filepath.Clean(dataDir) + ".restoring"
	if err := os.RemoveAll(temporary); err != nil { // left by a restore that was interrupted
		return r.result, fault.Wrap(fault.Fatal, err, "removing what an interrupted restore left")
	}
	if err := r.begin(temporary); err != nil {
		return r.result, errors.Join(err, os.RemoveAll(temporary))
	}
	return r.result, moveSynced(temporary, dataDir)
}

// restoring is one run of [RestoreSnapshot].
type restoring struct {
	ctx      context.Context
	in       *exportfile.Reader
	storage  archive.Storage // of the journal that is there; nil for the directory in it
	log      *slog.Logger
	progress func(blocks uint64)
	result   Restored
	from     snapshot.Manifest

	genesis, spec, payload []byte
	contents               map[[32]byte][]byte // by hash; nil where nothing begins with them
	state                  *chain.State
	peg                    *bridge.State
	journal                restart.Store
	machine                *actors.Machine // makes the turns that carry blocks; nil when only checking
	last                   message.BlockConnected
	batch                  message.CheckpointBlocks
	batchBytes             int
}

// check reads everything and stores nothing.
func (r *restoring) check() error {
	manifest, err := r.in.Want(exportfile.Manifest)
	if err != nil {
		return err
	}
	in, err := snapshot.CheckImport(manifest)
	if err != nil {
		return err
	}
	if err := r.chunks(in); err != nil {
		return err
	}
	return r.blocks()
}

// own puts a snapshot back where it was taken.
func (r *restoring) own(dataDir string) (err error) {
	j, err := journal.Open(journal.Options{Dir: JournalDir(dataDir), Archive: r.storage, ReadOnly: true, CacheBytes: 32 << 20, Logger: r.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	store, err := openSnapshots(dataDir, 0, false, nil, r.log)
	if err != nil {
		return err
	}
	manifest, err := r.in.Want(exportfile.Manifest)
	if err != nil {
		return err
	}
	in, err := store.Import(manifest)
	if err != nil {
		return err
	}
	if m := in.Manifest(); journal.ID(m.Journal) != j.ID() {
		return refused("data directory %s holds journal %s, the snapshot is of journal %s: another node's states do not go into a journal; name a new directory", dataDir, j.ID(), journal.ID(m.Journal))
	} else if _, hash, err := j.Event(m.Sequence); err != nil || hash != journal.Hash(m.Hash) {
		return errors.Join(refused("the snapshot is of a part of journal %s that data directory %s does not have, at sequence %d", j.ID(), dataDir, m.Sequence), err)
	}
	if err := r.chunks(in); err != nil {
		return err
	}
	if err := r.blocks(); err != nil {
		return err
	}
	_, err = in.Finish()
	return err
}

// chunks takes the chunks and what else comes before the blocks.
func (r *restoring) chunks(in *snapshot.Incoming) error {
	r.from = in.Manifest()
	r.result.Snapshot = DescribeSnapshot(r.from)
	for {
		kind, data, err := r.in.Next()
		if err != nil {
			return err
		}
		if kind == exportfile.Genesis {
			r.genesis = bytes.Clone(data)
			break
		}
		if kind == exportfile.Content {
			if r.contents != nil {
				c := record.NewContent(bytes.Clone(data))
				r.contents[c.Hash] = c.Data
			}
			continue
		}
		if kind != exportfile.Chunk {
			return fault.New(fault.Corrupt, "the export has a part of kind %d among the chunks", kind)
		}
		if err := in.Chunk(data); err != nil {
			return err
		}
		if err := r.ctx.Err(); err != nil {
			return err
		}
	}
	var err error
	if r.spec, err = r.in.Want(exportfile.Spec); err != nil {
		return err
	}
	r.payload, err = r.in.Want(exportfile.Payload)
	return err
}

// begin makes a data directory with a new journal.
func (r *restoring) begin(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Fatal, err, "data directory")
	}
	r.contents = make(map[[32]byte][]byte)
	if err := r.states(filepath.Join(dir, "import")); err != nil {
		return err
	}
	origin := r.result.Snapshot
	text := fmt.Sprintf("began with the states of journal %s at sequence %d, head %d %s", origin.Journal, origin.Sequence, r.state.Head.Number, r.state.Head.Root.Hex())
	if err := r.write(dir, text, r.blocks); err != nil {
		return err
	}
	return fault.Wrap(fault.Fatal, os.RemoveAll(filepath.Join(dir, "import")), "removing the imported chunks")
}

// write makes the journal and what belongs to it; blocks hands all blocks to take.
func (r *restoring) write(dir, text string, blocks func() error) error {
	if err := r.newJournal(dir, blocks); err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(dir, genesisFile), r.genesis); err != nil {
		return err
	}
	_, err := journal.AddIncident(journal.Options{Dir: JournalDir(dir), Logger: r.log}, journal.Incident{
		Kind: journal.IncidentCheckpointStart, Time: time.Now().UnixMilli(), Text: text,
	})
	return err
}

// states reads the snapshot by way of a store of its own.
func (r *restoring) states(dir string) error {
	store, err := snapshot.Open(snapshot.Options{Dir: dir, Logger: r.log})
	if err != nil {
		return err
	}
	manifest, err := r.in.Want(exportfile.Manifest)
	if err != nil {
		return err
	}
	in, err := store.Import(manifest)
	if err != nil {
		return err
	}
	if have := restart.BehaviourOf(in.Manifest()); have != Behaviour {
		return refused("the snapshot is of behaviour %d, this program is of behaviour %d: start from it with the program that took it, and upgrade then", have, Behaviour)
	}
	if err := r.chunks(in); err != nil {
		return err
	}
	m, err := in.Finish()
	if err != nil {
		return err
	}
	for _, c := range []record.Content{record.NewContent(r.spec), record.NewContent(r.payload)} {
		r.contents[c.Hash] = c.Data
	}
	// What else the chain's state refers to belongs to work under way, which stays behind.
	state, err := chainOf(store, m, func(h [32]byte) ([]byte, error) { return r.contents[h], nil })
	if err != nil {
		return err
	}
	if state.Config == nil || state.Config.ChainSpec.Data == nil || state.Config.GenesisPayload.Data == nil {
		return fault.New(fault.Corrupt, "the chain spec or genesis of the export is not the one of its states")
	}
	r.state = state.Shared()
	peg, err := bridgeOf(store, m, r.content)
	if err != nil {
		return err
	}
	if peg.Head != state.Head { // its turn failed: the wallet begins anew, and says so
		r.state.Followed, peg = false, bridge.New().NewState().(*bridge.State)
	}
	r.peg = peg.Shared()
	return nil
}

func (r *restoring) content(hash [32]byte) ([]byte, error) {
	data, ok := r.contents[hash]
	if !ok {
		return nil, fault.New(fault.Corrupt, "the states of the export refer to content %x, which it lacks", hash)
	}
	return data, nil
}

// newJournal writes the turns that the new journal begins with.
func (r *restoring) newJournal(dir string, blocks func() error) (err error) {
	j, err := journal.Open(journal.Options{Dir: JournalDir(dir), Logger: r.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	r.journal = restart.Store{Journal: j}
	r.result.Journal = j.ID().String()
	if r.machine, err = NewMachine(j.ID(), memo.New()); err != nil {
		return err
	}
	r.batch.ChainSpec, r.batch.GenesisPayload = record.NewContent(r.spec), record.NewContent(r.payload)
	if err := blocks(); err != nil {
		return err
	}
	if r.last.Root != r.state.Head.Root {
		return fault.New(fault.Corrupt, "the blocks end with %s at %d, the states have the head %s at %d", r.last.Root, r.last.Number, r.state.Head.Root, r.state.Head.Number)
	}
	return r.mark()
}

// blocks reads the branch and checks that it is one; each batch becomes a turn.
func (r *restoring) blocks() error {
	for {
		kind, data, err := r.in.Next()
		if err != nil {
			return err
		}
		if kind == exportfile.End {
			r.result.Height, r.result.Head = r.last.Number, r.last.Root.Hex()
			return r.flush()
		}
		var fact message.BlockConnected
		if kind != exportfile.Fact {
			return fault.New(fault.Corrupt, "the export has a part of kind %d among the blocks", kind)
		}
		if err := record.Decode(bytes.Clone(data), &fact, nil); err != nil {
			return fault.Wrap(fault.Corrupt, err, "a block of the export")
		}
		if err := r.block(&fact); err != nil {
			return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("block %d of the export", fact.Number))
		}
		if err := r.take(fact); err != nil {
			return err
		}
	}
}

// block reads the bytes of a block and compares them with what is said of it.
func (r *restoring) block(fact *message.BlockConnected) error {
	if r.result.Blocks == 0 {
		if !fact.Signed.None() || fact.Number != 0 {
			return fault.New(fault.Corrupt, "the first one is not genesis")
		}
		return nil
	}
	if fact.Parent != r.last.Root || fact.Number != r.last.Number+1 {
		return fault.New(fault.Corrupt, "it does not follow block %s at %d", r.last.Root, r.last.Number)
	}
	data, err := r.in.Want(exportfile.Block)
	if err != nil {
		return err
	}
	signed := record.NewContent(data)
	if signed.Hash != fact.Signed.Hash {
		return fault.New(fault.Corrupt, "its bytes hash to %x, the fact says %x", signed.Hash, fact.Signed.Hash)
	}
	b, err := block.Decode(data)
	if err != nil {
		return err
	}
	if root := b.Block.Root(); root != fact.Root || b.Block.ParentHash != fact.Parent {
		return fault.New(fault.Corrupt, "its bytes are block %s on %s, the fact says %s", root, common.Hash(b.Block.ParentHash), fact.Root)
	}
	fact.Signed = signed
	return nil
}

const (
	carriedBlocks = 64
	carriedBytes  = 4 << 20
)

func (r *restoring) take(fact message.BlockConnected) error {
	r.last = fact
	r.result.Blocks++
	if r.progress != nil {
		r.progress(r.result.Blocks)
	}
	if r.machine == nil {
		return r.ctx.Err()
	}
	r.batch.Blocks = append(r.batch.Blocks, fact)
	if r.batchBytes += len(fact.Signed.Data); len(r.batch.Blocks) < carriedBlocks && r.batchBytes < carriedBytes {
		return nil
	}
	return errors.Join(r.flush(), r.ctx.Err())
}

// flush makes a turn of the blocks that wait.
func (r *restoring) flush() error {
	if r.machine == nil || len(r.batch.Blocks) == 0 {
		return nil
	}
	batch := r.batch
	r.batch, r.batchBytes = message.CheckpointBlocks{}, 0
	_, err := r.journal.Turn(r.machine, actors.Input{Actor: core.Supervisor, Message: &batch, Time: time.Now().UnixMilli()})
	return err
}

// mark makes the turn that carries the states.
func (r *restoring) mark() error {
	m, err := NewMachine(r.journal.Journal.ID(), memo.New())
	if err != nil {
		return err
	}
	sections := []snapshot.Section{{Name: string(chain.ID), Walk: r.state.Walk}, {Name: string(bridge.ID), Walk: r.peg.Walk}}
	if err := m.LoadMigrated(sections, r.machine.Sequence(), r.machine.Time(), r.content); err != nil {
		return err
	}
	contents, err := carriedContents(r.peg, r.content, r.state.Config.ChainSpec, r.state.Config.GenesisPayload)
	if err != nil {
		return err
	}
	started := &message.CheckpointStarted{
		Journal: r.from.Journal, Sequence: r.from.Sequence, Hash: r.from.Hash, OriginRoot: r.from.Root,
		Behaviour: Behaviour, Fingerprint: m.Fingerprint(Behaviour), Contents: contents,
	}
	if started.States, started.Root, err = m.PackStates(); err != nil {
		return err
	}
	_, err = r.journal.Turn(m, actors.Input{Actor: core.Supervisor, Message: started, Time: time.Now().UnixMilli()})
	return err
}

// moveSynced gives a directory its final name, durably.
func moveSynced(from, to string) error {
	err := os.Remove(to) // an empty one, which os.Rename does not replace
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = os.Rename(from, to)
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(to))
	}
	return fault.Wrap(fault.Fatal, err, "moving the restored directory into place")
}
