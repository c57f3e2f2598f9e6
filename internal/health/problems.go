package health

// Code names a kind of problem. It is stable: alerts refer to it.
type Code string

// The problems a node can have.
const (
	Starting         Code = "starting"
	Stopping         Code = "stopping"
	Syncing          Code = "syncing"
	ExecutionAway    Code = "execution_away"
	BitcoinAway      Code = "bitcoin_away"
	BitcoinBehind    Code = "bitcoin_behind"
	PegHalted        Code = "peg_halted"
	PegUnbalanced    Code = "peg_unbalanced"
	PaymentsUnsigned Code = "payments_unsigned"
	SigningHeld      Code = "signing_held"
	ClockStepped     Code = "clock_stepped"
	FinalityConflict Code = "finality_conflict"
	BranchExcluded   Code = "branch_excluded"
	DiskLow          Code = "disk_low"
	DiskFull         Code = "disk_full"
	JournalFailed    Code = "journal_failed"
	StoredDamage     Code = "stored_damage"

	JournalContradicted Code = "journal_contradicted"
	TurnsFailed         Code = "turns_failed"
	SlotsPass           Code = "slots_pass"
	NotSynced           Code = "not_synced"
	KeyInUse            Code = "key_in_use"
	NoPeers             Code = "no_peers"
	FewMembers          Code = "few_members"
)

// Kind is what is fixed about a problem.
type Kind struct {
	Code    Code
	Unready bool   // the node cannot do its work; otherwise a warning
	Means   string // one line
	Do      string // what the operator can do
}

// kinds is the list, the most severe first.
var kinds = []Kind{
	{FinalityConflict, true, "two conflicting ranges were finalised by quorums", "keep both proofs, do not restart, agree with the other members"},
	{JournalFailed, true, "the journal takes no more events", "see the log; make room or replace the disk, then start again"},
	{DiskFull, true, "less disk space is free than the node keeps in reserve: it stops", "make room, then start again: nothing is lost"},
	{Starting, true, "the node is starting", "wait"},
	{Stopping, true, "the node is stopping", "wait"},
	{ExecutionAway, true, "the execution client is away or behind", "look at the execution client; the node tries again by itself"},
	{BitcoinAway, true, "the Bitcoin node is away, behind, or not the right one", "look at the Bitcoin node; this node tries again by itself"},
	{PegUnbalanced, true, "the sums of the peg's wallet do not balance", "stop, run alys peg verify, and report it"},
	{PegHalted, true, "the peg stands still: Bitcoin left blocks as deep as deposits need", "compare what was minted with Bitcoin, then alys peg resume"},
	{BitcoinBehind, false, "Bitcoin is not followed to the tip of its node yet", "wait: deposits and payments are late, nothing is lost"},
	{Syncing, true, "the head is older than the chain's slots allow", "wait, or look at peers and producers"},
	{KeyInUse, true, "another process signs with this member's authority key", "find and end it: two of them sign two blocks of one slot"},
	{NotSynced, true, "the node does not know that its head is the federation's, and makes no block", "alys sync status"},
	{SigningHeld, true, "the node signs nothing since an incident of its journal", "alys signing status"},
	{ClockStepped, true, "the wall clock moved against the monotonic clock: production is off", "correct the clock, or restart the node"},
	{BranchExcluded, true, "a longer branch with a quorum excludes the finalised block", "find out which branch the federation follows; it is followed by an operator's decision only"},
	{StoredDamage, true, "stored bytes are damaged", "make a backup now and verify it"},
	{JournalContradicted, false, "a member signed two histories of its journal that contradict each other", "alys journal witnesses; ask that member, then move the evidence away"},
	{PaymentsUnsigned, false, "the federation signer does not sign a payment", "look at the signer and its policy; the node asks again by itself"},
	{DiskLow, false, "disk space runs low", "make room, or move old events: alys journal archive"},
	{TurnsFailed, false, "turns ended by a panic of their handler", "see the log, and report it"},
	{NoPeers, false, "no peer is connected", "look at p2p-bootnodes, the network, and the other side"},
	{FewMembers, false, "fewer members are connected than a quorum takes", "look at the other members, and at alys p2p peers"},
	{SlotsPass, false, "most slots of ours pass without a block", "see the last reason"},
}

// Problems returns the list of all kinds, the most severe first.
func Problems() []Kind { return append([]Kind(nil), kinds...) }

func kindOf(c Code) (Kind, int) {
	for i, k := range kinds {
		if k.Code == c {
			return k, i
		}
	}
	return Kind{Code: c, Unready: true, Means: string(c), Do: "see the log"}, len(kinds)
}
