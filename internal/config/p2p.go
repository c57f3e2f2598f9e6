package config

// addressList is what a setting with addresses of nodes takes.
const addressList = "multiaddrs, such as /ip4/10.0.0.1/tcp/55444, joined by commas or spaces, or one after the other"

var p2pSettings = []Setting{
	{
		Key: "p2p-listen", Group: P2P, Kind: kindAddrs, Example: "/ip4/0.0.0.0/tcp/55444,/ip4/0.0.0.0/udp/55444/quic-v1",
		Help:    "where this node listens for others; with neither this nor p2p-bootnodes it talks to none",
		Allowed: addressList,
		field:   func(c *Config) any { return &c.P2P.Listen },
	},
	{
		Key: "p2p-bootnodes", Group: P2P, Kind: kindAddrs, Example: "/ip4/10.0.0.1/tcp/55444",
		Help:    "nodes to connect to at the start, with or without a peer id at the end",
		Allowed: addressList,
		field:   func(c *Config) any { return &c.P2P.Bootnodes },
	},
	{
		Key: "p2p-mdns", Group: P2P, Kind: kindBool, Default: "false",
		Help:  "find nodes of the local network, and be found by them",
		field: func(c *Config) any { return &c.P2P.MDNS },
	},
	{
		Key: "checkpoint-every", Group: P2P, Kind: kindInteger, Default: "1024",
		Help: "distance of the final blocks whose state is kept for new nodes to begin at, and stated by a member; the same at all members", Allowed: "1 to 3072",
		field: func(c *Config) any { return &c.P2P.CheckpointEvery },
		check: func(c *Config) bool { return c.P2P.CheckpointEvery >= 1 && c.P2P.CheckpointEvery <= 3072 },
	},
	{
		Key: "p2p-max-peers", Group: P2P, Kind: kindInteger, Default: "64",
		Help: "peers beyond which nobody else is dialled and the least useful are let go; members are kept", Allowed: "1 to 1000",
		field: func(c *Config) any { return &c.P2P.MaxPeers },
		check: func(c *Config) bool { return c.P2P.MaxPeers >= 1 && c.P2P.MaxPeers <= 1000 },
	},
	{
		Key: "p2p-listen-slots", Group: P2P, Kind: kindInteger, Default: "2",
		Help:    "slots of a run that a member listens, for signatures of its own key by another process, before it signs",
		Allowed: "0 to 1000",
		field:   func(c *Config) any { return &c.P2P.ListenSlots },
		check:   func(c *Config) bool { return c.P2P.ListenSlots <= 1000 },
	},
}
