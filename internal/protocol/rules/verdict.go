package rules

import (
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Verdict is what one rule, or all of them, say of a block. The zero value is
// "valid".
type Verdict struct {
	Grade  fault.Grade // 0 valid, fault.Invalid, or fault.CannotJudge
	Rule   string      // number of the rule, as in "C5.4"
	Field  string      // path of the member at fault, as in "execution_payload.parent_hash"
	Reason string      // why, or what is missing
}

// Valid reports whether nothing speaks against the block.
func (v Verdict) Valid() bool { return v.Grade == 0 }

// String is the verdict in one line.
func (v Verdict) String() string {
	if v.Valid() {
		return "valid"
	}
	return fmt.Sprintf("%s by %s: %s: %s", v.Grade, v.Rule, v.Field, v.Reason)
}

func invalid(field, format string, args ...any) Verdict {
	return Verdict{Grade: fault.Invalid, Field: field, Reason: fmt.Sprintf(format, args...)}
}

func cannotJudge(field, format string, args ...any) Verdict {
	return Verdict{Grade: fault.CannotJudge, Field: field, Reason: fmt.Sprintf(format, args...)}
}

// by names the rule that gave a verdict, unless it has a name.
func (v Verdict) by(rule string) Verdict {
	if !v.Valid() && v.Rule == "" {
		v.Rule = rule
	}
	return v
}
