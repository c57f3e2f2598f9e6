package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/projections/connected"
)

// auditName is the file of a data directory whose journal begins at a stated block.
const auditName = "begun.json"

// auditFile is what it began with and how far the blocks before it are audited.
type auditFile struct {
	Begun      Begun                  `json:"begun"`
	Statements []checkpoint.Statement `json:"statements"`
	Audited    uint64                 `json:"audited"`        // height of the last block
	Short      uint64                 `json:"without_quorum"` // how many of them have fewer approvals than a quorum
}

// Done reports whether all blocks are audited.
func (a *auditFile) done() bool { return a.Audited >= a.Begun.Height }

// AuditStatus is how far the blocks before the beginning of a journal are audited.
type AuditStatus struct {
	Begun   uint64 `json:"begun"` // height that the journal began at
	Audited uint64 `json:"audited"`
	Short   uint64 `json:"without_quorum"` // audited blocks that came with fewer approvals than a quorum
}

// audit looks at the blocks that a journal was given before its first own turn: it began
// with a state that a quorum states now, and those blocks must have had their quorums then.
type audit struct {
	path string

	mu   sync.Mutex
	file auditFile
}

// openAudit returns nil for a journal that began at genesis.
func openAudit(dataDir string) (*audit, error) {
	a := &audit{path: filepath.Join(dataDir, auditName)}
	data, err := os.ReadFile(a.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "what the journal began with")
	}
	if err := json.Unmarshal(data, &a.file); err != nil {
		return nil, fault.New(fault.Corrupt, "%s is damaged: %w; move it away, and the blocks before the journal's beginning are not audited", a.path, err)
	}
	return a, nil
}

// status is nil-safe.
func (a *audit) status() *AuditStatus {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return &AuditStatus{Begun: a.file.Begun.Height, Audited: a.file.Audited, Short: a.file.Short}
}

const (
	auditBatch = 64
	// auditRest is how long the audit rests after a batch, per time it took: it takes a fifth
	// of one core.
	auditRest = 4
	auditSave = 4096 // blocks between two writes of the file
)

// auditBlocks runs while the node runs. A block that is not what it should be stops the
// node: exit code 3.
func (n *Node) auditBlocks(ctx context.Context) error {
	if n.audit.file.done() {
		return nil
	}
	n.log.Info("auditing the blocks before the journal's beginning", "audited", n.audit.file.Audited, "height", n.audit.file.Begun.Height)
	err := n.audit.run(ctx, n.journal, n.rules, n.genesisRoot, func(d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	})
	switch {
	case fault.Is(err, fault.Corrupt):
		n.stop(err)
	case err == nil && ctx.Err() == nil:
		n.log.Info("all blocks before the journal's beginning are audited", "height", n.audit.file.Begun.Height, "without_quorum", n.audit.file.Short)
	}
	return err
}

// run audits from where the last run ended.
func (a *audit) run(ctx context.Context, j *journal.Journal, rules *spec.Chain, genesis common.Hash, rest func(time.Duration)) error {
	committee, err := aura.NewCommittee(rules.Authorities)
	if err != nil {
		return err
	}
	w := &auditing{rules: rules, committee: committee, contents: j, last: message.BlockConnected{Root: genesis}}
	started, saved := time.Now(), a.file.Audited
	it := j.Iterate(1, false)
	defer it.Close()
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			return err
		}
		if e.Type != (*message.CheckpointBlocks)(nil).Type() {
			break
		}
		for i := range e.Outputs {
			fact, err := connected.Fact(&e.Outputs[i])
			if err != nil {
				return err
			}
			if fact == nil || fact.Signed.None() {
				continue
			}
			if err := w.block(fact, fact.Number > a.file.Audited); err != nil {
				return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("audit of the blocks before the journal's beginning: block %d %s: the journal began with the state of a chain that is not the federation's; keep this directory, and begin in a new one", fact.Number, fact.Root))
			}
			if fact.Number%auditBatch == 0 && fact.Number > a.file.Audited {
				rest(auditRest * time.Since(started))
				started = time.Now()
			}
			a.reached(fact.Number, w.short)
			w.short = 0
			if a.file.Audited-saved >= auditSave {
				if saved = a.file.Audited; a.save() != nil {
					return fault.New(fault.Temporary, "how far the audit is cannot be written to %s", a.path)
				}
			}
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), a.save())
			}
		}
	}
	if err := errors.Join(it.Err(), a.save()); err != nil {
		return err
	}
	if at := w.last; at.Number != a.file.Begun.Height || at.Root.Hex() != a.file.Begun.Root {
		return fault.New(fault.Corrupt, "the blocks before the journal's beginning end with %s at %d, it began with the state at %s at %d", at.Root, at.Number, a.file.Begun.Root, a.file.Begun.Height)
	}
	return nil
}

func (a *audit) reached(number, short uint64) {
	a.mu.Lock()
	a.file.Audited = max(a.file.Audited, number)
	a.file.Short += short
	a.mu.Unlock()
}

func (a *audit) save() error {
	data, err := json.Marshal(&a.file)
	if err != nil {
		return err
	}
	return writeWhole(a.path, data, 0o600)
}

// auditing is one pass over the blocks.
type auditing struct {
	rules     *spec.Chain
	committee *aura.Committee
	contents  interface {
		Content(journal.Hash) ([]byte, error)
	}
	last  message.BlockConnected
	short uint64
}

// block compares a block's bytes with what is said of it, looks at its place, and with
// signatures at those. That they are fewer than a quorum is no fault of a block, whose other
// approvals may be elsewhere; it is counted.
func (w *auditing) block(fact *message.BlockConnected, signatures bool) error {
	data, err := w.contents.Content(journal.Hash(fact.Signed.Hash))
	if err != nil {
		return err
	}
	signed, err := block.Decode(data)
	if err != nil {
		return err
	}
	b := &signed.Block
	switch root := b.Root(); {
	case !bytes.Equal(root[:], fact.Root[:]) || record.NewContent(data).Hash != fact.Signed.Hash:
		return fault.New(fault.Corrupt, "its bytes are those of block %s", root)
	case common.Hash(b.ParentHash) != w.last.Root || b.Payload.BlockNumber != w.last.Number+1 || fact.Number != b.Payload.BlockNumber:
		return fault.New(fault.Corrupt, "it does not follow block %s at %d", w.last.Root, w.last.Number)
	}
	if err := aura.CheckSlotWith(b.Slot, b.Payload.Timestamp, w.rules.SlotDuration, w.rules.Exceptions.OlderSlotDuration); err != nil {
		return err
	}
	w.last = *fact
	if !signatures {
		return nil
	}
	if err := w.committee.Verify(&signed.Approvals, fact.Root); err != nil {
		return err
	}
	if signed.Approvals.CountReal(w.committee.Len()) < w.committee.Quorum() {
		w.short++
	}
	return nil
}
