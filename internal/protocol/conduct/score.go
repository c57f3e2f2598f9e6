package conduct

// The range of a score and what follows from one, thousandths of a point.
const (
	Highest      int64 = 50 * point
	Lowest       int64 = -100 * point
	DisconnectAt int64 = -20 * point // the connection is closed; the peer may try again
	ForgivenAt   int64 = -10 * point // above it a peer may be disconnected for its score again
	BanAt        int64 = -50 * point
	AfterBan     int64 = -25 * point // the score that a ban begins with
)

const (
	// DecayStep is how often a score decays, milliseconds. Time that is not a whole step is
	// kept for the next.
	DecayStep int64 = 10_000
	// HalfLife is the time in which a score halves, milliseconds.
	HalfLife int64 = 600_000
)

// keep is what a step leaves of a score: 2^(-DecayStep/HalfLife) in 2^-32.
const keep = 4_245_635_389

// Decay takes a score from the time it stood at since to now, and returns the time it now
// stands at, which is at most a step before now. Each step rounds towards zero, so that a score
// arrives there, and how a time is cut into parts makes no difference.
func Decay(score, since, now int64) (int64, int64) {
	if now <= since {
		return score, since
	}
	steps := (now - since) / DecayStep
	since += steps * DecayStep
	for ; steps > 0 && score != 0; steps-- {
		if score < 0 {
			score = -(-score * keep >> 32)
		} else {
			score = score * keep >> 32
		}
	}
	return score, since
}

// maxCount bounds the acts of one report: so many have every effect there is.
const maxCount = 100_000

// Add returns a score after count acts of one kind.
func Add(score int64, w Weight, legacy bool, count uint32) int64 {
	each := w.Ours
	if legacy {
		each = w.Legacy
	}
	sum := score + each*int64(min(count, maxCount))
	if each < 0 {
		sum = max(sum, min(score, w.Floor))
	}
	return min(max(sum, Lowest), Highest)
}

const (
	firstBan   int64 = 10 * 60 * 1000
	longestBan int64 = 24 * 60 * 60 * 1000
	// strikeLasts is after how long without a ban one strike is forgotten.
	strikeLasts = longestBan
)

// BanFor is how long a ban lasts, milliseconds: twice as long for every strike before it.
func BanFor(strikes uint32) int64 {
	if strikes >= 8 {
		return longestBan
	}
	return min(firstBan<<strikes, longestBan)
}

// Strikes returns how many of a peer's strikes are still remembered at now, when the last
// ban ended at ended.
func Strikes(strikes uint32, ended, now int64) uint32 {
	if now <= ended {
		return strikes
	}
	return strikes - uint32(min(int64(strikes), (now-ended)/strikeLasts))
}
