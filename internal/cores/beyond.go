//go:build !nextbehaviour

package cores

import (
	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
)

// beyond is what a build with the tag nextbehaviour adds to the released
// behaviour: a test builds both programs and upgrades from one to the other.
const beyond = 0

var beyondMigrations []actors.Migration

func beyondCores(cores []core.Core) []core.Core { return cores }
