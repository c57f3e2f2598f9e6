package actors_test

import "math/rand/v2"

// failer is what testing and rapid tests share.
type failer interface {
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
