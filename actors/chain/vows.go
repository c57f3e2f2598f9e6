package chain

import (
	"bytes"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// The bounds of what this member remembers of its own word.
const (
	maxSlots      = 1 << 16 // slots approved; what is older is never approved
	maxPromises   = 1024
	maxRecipients = 256 // ranges whose first fee recipient is known
	maxUndecided  = 256 // blocks that may yet be approved
)

// vows is what this member bound itself to. It is state of its path, not of the
// chain: another node's is never taken over.
type vows struct {
	votes    *btree.BTreeG[*Vote]    // by slot
	locks    *btree.BTreeG[*Lock]    // by range end
	promises *btree.BTreeG[*Promise] // by range end
}

// Vote is the one block of a slot that this member approved.
type Vote struct {
	Slot uint64
	Root common.Hash
}

// Fields implements record.Record.
func (v *Vote) Fields(f *record.Fields) {
	f.Uint64(1, &v.Slot)
	f.Fixed(2, v.Root[:])
}

// Lock is a range end that this member approved a carrier of. While it binds, no
// carrier is approved whose branch excludes it. An ended one is kept as long as
// its block could be asked about, for this member did approve it.
// (architecture.md 4, Approving; docs/formats/approval-lock.md)
type Lock struct {
	RangeEnd common.Hash
	Number   uint64
	Carrier  common.Hash // the first carrier approved
	Ended    bool
}

// Fields implements record.Record.
func (l *Lock) Fields(f *record.Fields) {
	f.Fixed(1, l.RangeEnd[:])
	f.Uint64(2, &l.Number)
	f.Fixed(3, l.Carrier[:])
	f.Bool(4, &l.Ended)
}

// Promise is a range end that this member stated never to approve a carrier of.
type Promise struct {
	RangeEnd  common.Hash
	Number    uint64
	Signature aura.Signature // zero until signed
	Request   uint64         // of the operator who waits; zero for nobody
}

// Fields implements record.Record.
func (p *Promise) Fields(f *record.Fields) {
	f.Fixed(1, p.RangeEnd[:])
	f.Uint64(2, &p.Number)
	f.Fixed(3, p.Signature[:])
	f.Uint64(4, &p.Request)
}

// Recipient is who gets the fees by the proof of a range that was seen first.
type Recipient struct {
	Start, End common.Hash
	Address    common.Address
}

// Fields implements record.Record.
func (r *Recipient) Fields(f *record.Fields) {
	f.Fixed(1, r.Start[:])
	f.Fixed(2, r.End[:])
	f.Fixed(3, r.Address[:])
}

// Undecided is a block whose approval waits for something.
type Undecided struct {
	Root common.Hash
	Told bool // a fact said so
	// Rule and Reason are of the last verdict; empty while the bridge is asked.
	Rule, Reason string
}

// Fields implements record.Record.
func (u *Undecided) Fields(f *record.Fields) {
	f.Fixed(1, u.Root[:])
	f.Bool(2, &u.Told)
	f.String(3, &u.Rule)
	f.String(4, &u.Reason)
}

func newVows() vows {
	o := btree.Options{NoLocks: true}
	return vows{
		votes:    btree.NewBTreeGOptions(func(a, b *Vote) bool { return a.Slot < b.Slot }, o),
		locks:    btree.NewBTreeGOptions(func(a, b *Lock) bool { return bytes.Compare(a.RangeEnd[:], b.RangeEnd[:]) < 0 }, o),
		promises: btree.NewBTreeGOptions(func(a, b *Promise) bool { return bytes.Compare(a.RangeEnd[:], b.RangeEnd[:]) < 0 }, o),
	}
}

func (v *vows) copy() vows {
	return vows{votes: v.votes.Copy(), locks: v.locks.Copy(), promises: v.promises.Copy()}
}

// Vote returns what this member approved in a slot, or nil.
func (v *vows) Vote(slot uint64) *Vote {
	found, _ := v.votes.Get(&Vote{Slot: slot})
	return found
}

// Lock returns the lock on a range end, binding or ended, or nil.
func (v *vows) Lock(end common.Hash) *Lock {
	found, _ := v.locks.Get(&Lock{RangeEnd: end})
	return found
}

// Promise returns the promise about a range end, or nil.
func (v *vows) Promise(end common.Hash) *Promise {
	found, _ := v.promises.Get(&Promise{RangeEnd: end})
	return found
}

// Locks returns the range ends that bind this member, by root.
func (v *vows) Locks() (list []*Lock) {
	v.locks.Scan(func(l *Lock) bool {
		if !l.Ended {
			list = append(list, l)
		}
		return true
	})
	return list
}

// LastVote returns the approval of the highest slot that is remembered, or nil.
func (v *vows) LastVote() *Vote {
	last, _ := v.votes.Max()
	return last
}

// Promises returns what this member promised, by root.
func (v *vows) Promises() []*Promise { return v.promises.Items() }

// Votes returns how many slots this member remembers an approval of.
func (v *vows) Votes() int { return v.votes.Len() }

// Snapshot keys of the vows: 'l' with range end a lock, 'p' with range end a
// promise, 's' with slot (big endian) a vote.
const (
	lockEntry    byte = 'l'
	promiseEntry byte = 'p'
	voteEntry    byte = 's'
)

func (l *Lock) key() []byte    { return append([]byte{lockEntry}, l.RangeEnd[:]...) }
func (p *Promise) key() []byte { return append([]byte{promiseEntry}, p.RangeEnd[:]...) }
func (v *Vote) key() []byte    { return binary.BigEndian.AppendUint64([]byte{voteEntry}, v.Slot) }

// walkLocks yields the locks, whose keys come before those of orphans.
func (v *vows) walkLocks(yield func(key []byte, r record.Record) error) (err error) {
	v.locks.Scan(func(l *Lock) bool {
		err = yield(l.key(), l)
		return err == nil
	})
	return err
}

// walkRest yields promises and votes, whose keys come after those of orphans.
func (v *vows) walkRest(yield func(key []byte, r record.Record) error) (err error) {
	v.promises.Scan(func(p *Promise) bool {
		err = yield(p.key(), p)
		return err == nil
	})
	if err != nil {
		return err
	}
	v.votes.Scan(func(s *Vote) bool {
		err = yield(s.key(), s)
		return err == nil
	})
	return err
}

// loadLock, loadPromise and loadVote take one entry of a snapshot and return the
// key that it must have.
func (v *vows) loadLock(value []byte) ([]byte, error) {
	l := new(Lock)
	err := record.Decode(value, l, nil)
	v.locks.Set(l)
	return l.key(), err
}

func (v *vows) loadPromise(value []byte) ([]byte, error) {
	p := new(Promise)
	err := record.Decode(value, p, nil)
	v.promises.Set(p)
	return p.key(), err
}

func (v *vows) loadVote(value []byte) ([]byte, error) {
	s := new(Vote)
	err := record.Decode(value, s, nil)
	v.votes.Set(s)
	return s.key(), err
}
