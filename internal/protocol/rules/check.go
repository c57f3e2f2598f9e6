package rules

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Verifier checks aggregate signatures; [aura.Committee] has the rule.
type Verifier interface {
	Verify(a *aura.Approvals, root common.Hash) error
}

// Rules judge the blocks of one chain.
type Rules struct {
	Spec     *spec.Chain
	Verifier Verifier
	// Judging adds what legacy checks on validators only: withdrawals (C5.6) and
	// the payments that a carrier finalises (C5.8).
	Judging bool
}

// subject is one block under judgement with what earlier rules found.
type subject struct {
	*Rules
	tree   Ancestors
	signed *block.Signed
	block  *block.Block
	root   common.Hash
	number uint64
	parent *Ancestor
	fees   *big.Int // after the parent; nil when that is not executed
	proof  *Proof
}

// rule is one step of the order.
type rule struct {
	name  string
	check func(*subject) Verdict
}

// order is C5, the first failure wins. C5.2 is no rule: a block at or below the
// head's height is stored as a side block. C5.7 and what else needs Bitcoin is
// the bridge's, see [Rules.PegPart].
var order = []rule{
	{"C5.1", c51Genesis},
	{"C5.3", c53Parent},
	{"C5.4", c54PayloadParent},
	{"C5 number", c5Number},
	{"C4", c4Slot},
	{"C5.5", c55Approvals},
	{"C6", c6Withdrawals},
	{"C8", c8Proof},
	{"C5.8", c58Proposals},
	{"C5.9", c59Spacing},
}

// Check judges a signed block of this root on its stored ancestors, by every
// rule that needs neither execution nor Bitcoin. It returns the parent with a
// valid verdict. C6 is left out while the parent is not executed; see
// [Rules.CheckFees].
func (r *Rules) Check(signed *block.Signed, root common.Hash, tree Ancestors) (*Ancestor, Verdict) {
	s := r.subject(signed, root, tree)
	for _, rule := range order {
		if v := rule.check(s); !v.Valid() {
			return nil, v.by(rule.name)
		}
	}
	for i := range Holes {
		if v := s.tight(&Holes[i]); !v.Valid() {
			return nil, v
		}
	}
	return s.parent, Verdict{}
}

func (r *Rules) subject(signed *block.Signed, root common.Hash, tree Ancestors) *subject {
	s := &subject{
		Rules: r, tree: tree, signed: signed, block: &signed.Block, root: root,
		number: signed.Block.Payload.BlockNumber, parent: tree.Ancestor(signed.Block.ParentHash),
	}
	if s.parent != nil {
		s.fees = tree.FeesAfter(s.parent.Root)
	}
	return s
}

// Order returns the numbers of the rules in the order that [Rules.Check] asks them.
func Order() []string {
	var names []string
	for _, r := range order {
		names = append(names, r.name)
	}
	return names
}
