// Package connected reads which blocks the head's branch has at many heights, however far
// below the head, from the journal and its index alone.
//
//	r := connected.Reader{Index: x, Height: node.Height}
//	blocks, err := r.Run(ctx, from, to)
//
// # Guarantees
//
//  1. The blocks of a run follow each other by their parents, ascending and without a gap.
//  2. Each is the last that was connected at its height: at and below the head that is the
//     one of the head's branch, whatever was reverted before.
//  3. A run costs two questions of the index and one pass over the events that connected
//     its blocks, not a question a height.
//  4. A reorganisation that reaches into a run while it is read gives an error of grade
//     Temporary, never blocks of two branches.
package connected
