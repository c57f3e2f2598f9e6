package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// State has this member sign that it never approved and never will approve a
// carrier of a range end, which binds it, and returns the statement as INDEX:HEX
// once it is made. ErrRefused: it cannot say so. (docs/formats/approval-lock.md)
func (n *Node) State(ctx context.Context, rangeEnd string) (string, error) {
	end, err := parseRangeEnd(rangeEnd)
	if err != nil {
		return "", err
	}
	answer, err := n.order(ctx, func(request uint64) core.Message {
		return &message.NeverApprove{Request: request, RangeEnd: end}
	})
	if err != nil {
		return "", err
	}
	n.log.Warn("this member stated never to approve a range end", "range_end", end)
	return FormatStatement(message.Statement{Authority: n.config.Authority, Signature: answer.Signature}), nil
}

// ReleaseLock ends the lock on a range end by statements of n - Q + 1 members, for
// a reason that the journal keeps. ErrRefused: they do not suffice, or nothing is
// locked.
func (n *Node) ReleaseLock(ctx context.Context, rangeEnd string, statements []string, reason string) error {
	if err := CheckReason(reason); err != nil {
		return err
	}
	end, err := parseRangeEnd(rangeEnd)
	if err != nil {
		return err
	}
	if len(statements) > aura.MaxAuthorities {
		return fault.New(fault.Invalid, "%d statements, there are at most %d members", len(statements), aura.MaxAuthorities)
	}
	var list []message.Statement
	for _, text := range statements {
		s, err := ParseStatement(text)
		if err != nil {
			return err
		}
		list = append(list, s)
	}
	_, err = n.order(ctx, func(request uint64) core.Message {
		return &message.ReleaseLock{Request: request, RangeEnd: end, Statements: list, Reason: reason}
	})
	if err == nil {
		n.log.Warn("an approval lock is released by an operator", "range_end", end, "statements", len(list), "reason", reason)
	}
	return err
}

// order gives an operator's order to the chain actor and waits until it is done.
func (n *Node) order(ctx context.Context, ask func(request uint64) core.Message) (*message.OperatorAnswer, error) {
	answer, err := n.ask(ctx, chain.ID, ask)
	if err != nil {
		return nil, err
	}
	a, ok := answer.(*message.OperatorAnswer)
	switch {
	case !ok:
		return nil, fault.New(fault.Fatal, "the chain actor answered an order with %s", answer.Type())
	case !a.Done:
		return nil, refused("%s", a.Reason)
	}
	return a, nil
}

func parseRangeEnd(text string) (end common.Hash, err error) {
	digits, ok := strings.CutPrefix(text, "0x")
	data, err := hex.DecodeString(digits)
	if !ok || err != nil || len(data) != len(end) {
		return end, fault.New(fault.Invalid, "range end %q is not 0x and 64 hex digits: give the root of the block that the range ends at", text)
	}
	return common.Hash(data), nil
}

// FormatStatement is a statement as INDEX:HEX.
func FormatStatement(s message.Statement) string {
	return fmt.Sprintf("%d:%x", s.Authority, s.Signature[:])
}

// ParseStatement reads what FormatStatement writes; 0x before the digits will do.
func ParseStatement(text string) (s message.Statement, err error) {
	index, digits, ok := strings.Cut(text, ":")
	authority, err := strconv.ParseUint(index, 10, 8)
	data, hexErr := hex.DecodeString(strings.TrimPrefix(digits, "0x"))
	if !ok || err != nil || hexErr != nil || len(data) != len(s.Signature) {
		return s, fault.New(fault.Invalid, "statement %.40q is not INDEX:HEX, a member's place in the chain spec and %d bytes", text, len(s.Signature))
	}
	s.Authority = uint32(authority)
	copy(s.Signature[:], data)
	return s, nil
}
