package regtest

import (
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// guard runs f. A panic of btcd's packages on f's goroutine becomes a Corrupt error: they
// panic where their database is not what they wrote.
func guard(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Corrupt, "%s: btcd panicked: %v; restart the node, its database is made again", what, r)
		}
	}()
	return f()
}
