package aura

import (
	"errors"
	"math"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// OlderSlotDuration is the slot length in milliseconds an earlier version of the
// shipped network used; blocks of that time pass the slot rule by it.
// (consensus.md C4, C16)
const OlderSlotDuration = 3000

// ErrSlotInFuture is in the chain of an error of [CheckSlot]. Its text is
// legacy's name of the failure.
var ErrSlotInFuture = errors.New("SlotIsInFuture")

// SlotAt returns the slot of a Unix time in milliseconds for a slot duration in
// milliseconds. A duration of zero gives slot zero; chain specs with it are
// refused on loading. (consensus.md C4)
func SlotAt(unixMillis, slotDuration uint64) uint64 {
	if slotDuration == 0 {
		return 0
	}
	return unixMillis / slotDuration
}

// Author returns the index of the authority that may propose in a slot, out of
// n authorities. With n below 1 it is -1. (consensus.md C4)
func Author(slot uint64, n int) int {
	if n < 1 {
		return -1
	}
	return int(slot % uint64(n))
}

// Quorum returns how many of n members are enough: floor((2n+2)/3), that is two
// thirds rounded up. It is the rule for approvals and for Bitcoin signatures.
// (consensus.md C1; peg.md A2)
func Quorum(n int) int {
	if n < 1 {
		return 0
	}
	return (2*n + 2) / 3
}

// CheckSlot refuses a block whose slot lies in the future of its own payload
// timestamp (Unix seconds), with the tolerance of [OlderSlotDuration].
// slotDuration is in milliseconds. The author is not judged and there is no lower
// bound. The error wraps [ErrSlotInFuture]. (consensus.md C4)
func CheckSlot(slot, timestamp, slotDuration uint64) error {
	return CheckSlotWith(slot, timestamp, slotDuration, OlderSlotDuration)
}

// CheckSlotWith is [CheckSlot] with the older slot length as chain-spec data, in
// milliseconds; zero means there was none. (consensus.md C16)
func CheckSlotWith(slot, timestamp, slotDuration, older uint64) error {
	ms := uint64(math.MaxUint64)
	if timestamp <= math.MaxUint64/1000 {
		ms = timestamp * 1000
	}
	if !ahead(slot, ms, slotDuration) || (older != 0 && !ahead(slot, ms, older)) {
		return nil
	}
	return fault.New(fault.Invalid, "slot %d is in the future of its payload's timestamp %d (slot %d of %d ms): %w; refuse the block",
		slot, timestamp, SlotAt(ms, slotDuration), slotDuration, ErrSlotInFuture)
}

// ahead reports slot > floor(ms/duration)+1 without the sum that may overflow.
func ahead(slot, ms, duration uint64) bool {
	return slot > 0 && slot-1 > SlotAt(ms, duration)
}
