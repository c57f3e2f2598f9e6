// Package devnet runs a whole federation on one machine: members and full nodes as real
// processes of this program with directories and ports of their own, embedded execution
// layers, one Bitcoin regtest chain that all of them ask, and scripted traffic.
//
// # Usage
//
//	n, err := devnet.Make(devnet.Options{Dir: dir, Program: alys, Members: 3, Full: 1, Slot: 2 * time.Second})
//	n, err = devnet.Open(devnet.Options{Dir: dir, Program: alys})
//	err = n.Up(ctx, func() { … }) // until ctx ends; processes that die are started again
//	s, err := n.Status(ctx)
//	err = devnet.Down(ctx, dir)
//
// A test that wants to kill and cut starts processes itself: [Network.StartBitcoin],
// [Network.StartNode], [Process.Kill], [Process.Stop].
//
// # Guarantees
//
//   - One supervisor a directory, by a lock that ends with its process. Nodes that a
//     killed supervisor left are found by process id and start time, so that no process of
//     somebody else is ever signalled.
//   - A node that refuses to go on (exit codes 3 and 4) is not started again: its log says
//     why.
//   - What a node wrote is in logs/, appended to over restarts.
//
// # Layout
//
//	federation/   what alys federation init makes, with data/ of each node
//	bitcoin/      the regtest chain and its .cookie
//	logs/         one file a process
//	devnet.json   what it was made with
//	run.json      processes of the run, while there is one
//	lock          held by the supervisor
package devnet
