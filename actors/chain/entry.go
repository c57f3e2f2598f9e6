package chain

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
)

// Status says how far a block has come.
type Status uint8

// The statuses of an entry.
const (
	Stored    Status = 1 // valid by structure; not executed, for it is not to be the head yet
	InFlight  Status = 2 // the execution layer is at it
	Executed  Status = 3 // executed, not on the head's branch
	Connected Status = 4 // on the head's branch
	Invalid   Status = 5 // refused by the execution layer or by its fees, or stands on such a block
)

// Entry is one block of the tree. Entries are replaced, never changed.
type Entry struct {
	rules.Ancestor
	Timestamp uint64 // Unix seconds
	StateRoot common.Hash
	Status    Status
	Approvals aura.Approvals
	Fees      []byte      // accumulator after the block, wei, big endian; once executed
	Signed    common.Hash // content hash of the signed block; zero for genesis
	// Transactions is how many the payload has.
	Transactions uint32

	// Body is the signed block while it is stored, and of a carrier that was
	// executed before it had its quorum; none otherwise.
	Body    record.Content
	HasFees bool   // the block's source recorded
	Source  []byte // this fee accumulator for it
	// Arrival orders stored blocks, Reached those with a quorum: a block that was
	// connected before has zero.
	Arrival, Reached uint64
	// Excluded: its branch leaves the head's below the finalised block.
	Excluded bool
	// Reported: a fact said that the branch that begins here excludes the finalised block.
	Reported bool
}

// Fields implements record.Record.
func (e *Entry) Fields(f *record.Fields) {
	f.Fixed(1, e.Root[:])
	f.Fixed(2, e.Parent[:])
	f.Uint64(3, &e.Number)
	f.Uint64(4, &e.Slot)
	f.Uint64(5, &e.Timestamp)
	f.Fixed(6, e.PayloadHash[:])
	f.Fixed(7, e.StateRoot[:])
	f.Uint8(8, (*uint8)(&e.Status))
	f.Fixed(9, e.Approvals.Bits[:])
	f.Fixed(10, e.Approvals.Signature[:])
	f.Bytes(11, &e.Fees)
	f.Fixed(12, e.Proposal[:])
	record.Optional(f, 13, &e.Carrier)
	f.Fixed(14, e.LastCarrier[:])
	f.Fixed(15, e.Signed[:])
	f.Uint32(16, &e.Transactions)
	f.Bool(17, &e.NoRequests)
	f.Content(18, &e.Body)
	f.Bool(19, &e.HasFees)
	f.Bytes(20, &e.Source)
	f.Uint64(21, &e.Arrival)
	f.Uint64(22, &e.Reached)
	f.Bool(23, &e.Excluded)
	f.Bool(24, &e.Reported)
}

func (e *Entry) id() message.BlockID { return message.BlockID{Root: e.Root, Number: e.Number} }

func (e *Entry) fees() *big.Int { return new(big.Int).SetBytes(e.Fees) }

func (e *Entry) executed() bool { return e.Status == Executed || e.Status == Connected }

// content names the signed block; with its bytes while they are kept.
func (e *Entry) content() record.Content {
	if e.Body.Hash == e.Signed {
		return e.Body
	}
	return record.Content{Hash: e.Signed}
}

// stored is e as a block that waits in the tree, with its bytes.
func (e *Entry) stored(b Executing) *Entry {
	next := *e
	next.Status, next.Body, next.HasFees, next.Source = Stored, b.Signed, b.HasFees, b.Fees
	return &next
}

// taken is e with another status and without what only a stored block has.
func (e *Entry) taken(status Status) *Entry {
	next := *e
	next.Status, next.Body, next.HasFees, next.Source = status, record.Content{}, false, nil
	return &next
}
