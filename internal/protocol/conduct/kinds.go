package conduct

import "github.com/AnduroProject/alys-go/internal/protocol/message"

// Weight is what one act of a kind adds to a score.
type Weight struct {
	Kind   string
	Ours   int64 // thousandths of a point, for a peer that speaks our protocol
	Legacy int64 // for one that does not: it forwards before it looks (wire.md 9.2)
	Floor  int64 // acts of this kind alone never push a score below; Lowest for no floor
	Why    string
}

// Good reports whether the act is a good one.
func (w Weight) Good() bool { return w.Ours > 0 }

const point = 1000

// The floors of kinds that an honest peer can be led into: by a bad line, by a partition, or
// by passing on what a dishonest member signed. A federation whose nodes banned each other
// for that could be split by one member.
const (
	luck  = -15 * point // above DisconnectAt
	drag  = -40 * point // above BanAt
	relay = -10 * point
)

var weights = []Weight{
	{message.ActBlock, 200, 200, Lowest, "first to send a block that passed the stateless checks"},
	{message.ActApproval, 20, 20, Lowest, "first to send an approval whose signature is right"},
	{message.ActSignature, 100, 100, Lowest, "first to send a payment signature that is right"},
	{message.ActWork, 100, 100, Lowest, "first to send a proof of work that passed the stateless checks"},
	{message.ActRange, 1 * point, 1 * point, Lowest, "served a range of blocks as asked"},
	{message.ActContent, 200, 200, Lowest, "served content that was asked for by hash"},

	{message.ActMalformed, -20 * point, -5 * point, Lowest, "gossip that does not decode, or not back to itself"},
	{message.ActForwarded, -20 * point, -500, Lowest, "passed on malformed gossip that another signed; ours look first, legacy does not"},
	{message.ActOversized, -20 * point, -5 * point, Lowest, "more bytes than the kind may have"},
	{message.ActInvalidSignature, -20 * point, -5 * point, Lowest, "a signature that does not verify, or of an authority that does not exist"},
	{message.ActFarSlot, -5 * point, -1 * point, Lowest, "a slot further ahead than clocks may differ"},
	{message.ActSpam, -1 * point, -1 * point, Lowest, "more than the token bucket of the kind allows"},
	{message.ActDuplicate, -200, -200, luck, "the same message again and again"},
	{message.ActInvalidBlock, -2 * point, -2 * point, relay, "a block that the rules refuse: its maker is to blame more than who passed it on"},
	{message.ActInvalidWork, -2 * point, -2 * point, relay, "a proof of work that the rules refuse"},

	{message.ActEmpty, 0, 0, Lowest, "has nothing where it was asked"},
	{message.ActStaleHead, -5 * point, -5 * point, drag, "has nothing where it told to have a head"},
	{message.ActGap, -20 * point, -20 * point, Lowest, "a range with a height left out"},
	{message.ActOrder, -20 * point, -20 * point, Lowest, "a range out of order"},
	{message.ActForged, -50 * point, -50 * point, Lowest, "a range whose blocks do not belong to what was asked, or whose quorum is not one"},
	{message.ActUnwanted, -10 * point, -10 * point, Lowest, "more than was asked for, or an answer nobody asked for"},
	{message.ActTimeout, -3 * point, -1 * point, luck, "no answer within the deadline"},
	{message.ActSlow, -10 * point, -5 * point, drag, "an answer that drips"},
	{message.ActReset, -2 * point, -1 * point, luck, "closed in the middle of an answer"},
	{message.ActWrongBytes, -20 * point, -20 * point, Lowest, "content whose hash is not the one asked for"},

	{message.ActProtocol, -20 * point, -20 * point, Lowest, "breaks our protocol: frames, versions, order of messages"},
	{message.ActWrongGenesis, -100 * point, -100 * point, Lowest, "of another chain"},
	{message.ActFalseProof, -100 * point, -100 * point, Lowest, "its proof to be a member does not verify"},
	{message.ActFlood, -10 * point, -10 * point, Lowest, "more streams or connections than the limits allow"},
}

// Weights returns what every kind weighs, in the order of the page.
func Weights() []Weight { return append([]Weight(nil), weights...) }

// Of returns the weight of a kind; false for a kind that nobody knows.
func Of(kind string) (Weight, bool) {
	for _, w := range weights {
		if w.Kind == kind {
			return w, true
		}
	}
	return Weight{}, false
}
