// Package conduct says what peers' acts weigh: the score of a peer, and what follows from it.
//
//	w, ok := conduct.Of(message.ActGap)
//	score = conduct.Add(conduct.Decay(score, since, now), w, legacy, count)
//	if score <= conduct.BanAt { ... conduct.BanFor(strikes) ... }
//
// Scores are thousandths of a point in integers, so that every program computes the same
// ones. The page for people is docs/peer-scores.md; a test holds it to the table here.
package conduct
