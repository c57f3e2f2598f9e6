// Package netlab joins processes on this machine by a network that a test can make slow,
// lossy and broken: each process is in a network namespace of its own, and a router in
// this process carries every packet between them. It needs no tc and no netem.
//
// # Usage
//
//	lab, err := netlab.Open([]string{"member-0", "member-1", "bitcoin"})
//	defer lab.Close()
//	err = lab.Do("member-0", command.Start)       // the process is in that namespace
//	conn, err := lab.Dial("member-0")(ctx, "tcp", "127.0.0.1:8545")
//	lab.Shape(netlab.Path{Latency: 200 * time.Millisecond, Loss: 0.05}, "bitcoin")
//	lab.Split([]string{"member-0"}, []string{"member-1"})
//	lab.Heal()
//
// # How
//
// Each host is an OS thread that left for a new network namespace, with its loopback and
// one TUN device; processes and sockets made on that thread are in the namespace. A packet
// that leaves by the device is read here, and written to the device of the host that its
// IPv4 destination names: after the path's latency, or never. Latency is for each
// direction, so that a round trip takes twice as much; packets of one path keep their
// order. What is lost is decided by a generator with a fixed seed for each path.
//
// # Limits
//
// Linux, with the right to make namespaces and TUN devices (root, or CAP_SYS_ADMIN and
// CAP_NET_ADMIN), and the program ip. [Open] says what is missing. IPv4 only; a path holds
// 4096 packets and drops what comes beyond, as a router does.
package netlab
