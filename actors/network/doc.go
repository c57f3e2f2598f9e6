// Package network is the core that keeps peers: who is connected, what they did, who is
// banned, and at which addresses they were. (docs/peer-scores.md)
//
//	message            does
//	node_configured    begins a run: no peer is connected; gives the edge bans and addresses
//	peer_connected     takes a peer in, tells the sync actor, and the chain actor of a member
//	peer_gone          takes it out
//	peers_reported     adds up what peers did, tells whose head moved
//	peer_fault         the same for what another actor found out
//	ban_peer           an operator bans a peer or an IP address
//	unban_peer         an operator ends a ban
//	connections_guided  the edge has its lists; the next may leave
//
// Guarantees:
//
//  1. A member that proved its authority is never banned or disconnected for its score. An
//     operator's ban holds for members too.
//  2. The state is bounded whatever peers do: [maxPeers], [maxStandings], [maxBans], [maxBook].
//     What is forgotten to make room is decided by the state alone.
//  3. A peer's acts reach the journal in reports of at most one a second, and facts about
//     its score when it moved by a point.
//  4. The edge is given at most one list of bans and addresses at once.
package network
