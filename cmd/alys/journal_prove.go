package main

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/tree"
)

func journalProveCommand() *cli.Command {
	return &cli.Command{
		Name: "prove", Usage: "print a proof that an event is in the journal, or that the journal only grew",
		Description: `The proof is one JSON object. With the public key of "alys journal key" anyone
checks it by "alys journal check-proof", without a node and without the journal.
It leads to a signed checkpoint: the newest one kept, or one over --size events,
signed now.

Examples:
  alys journal prove --event 1200 > proof.json
  alys journal prove --event 1200 --size 5000 > proof.json
  alys journal prove --consistency 1000 > proof.json`,
		Flags: append(readFlags(),
			&cli.Uint64Flag{Name: "event", Usage: "prove that the event of this `SEQUENCE` is in the journal"},
			&cli.Uint64Flag{Name: "consistency", Usage: "prove that the journal continues that of a checkpoint over `SIZE` events"},
			&cli.Uint64Flag{Name: "size", Usage: "lead to a checkpoint over `SIZE` events; 0 for the newest kept, or all"},
			&cli.BoolFlag{Name: "json", Usage: "has no effect: a proof is JSON"}),
		Action: journalProve,
	}
}

func journalProve(cc *cli.Context) (err error) {
	event, older, size := cc.Uint64("event"), cc.Uint64("consistency"), cc.Uint64("size")
	if (event == 0) == (older == 0) {
		return usage("give one of --event and --consistency, above 0")
	}
	least := max(event, older)
	if size != 0 && size < least {
		return usage("--size %d does not cover %d", size, least)
	}
	w, err := openWitness(cc)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if last := w.journal.Durable().Sequence; max(least, size) > last {
		return fault.New(fault.Invalid, "the journal ends at event %d", last)
	}
	if why := w.index.Missing(); why != nil {
		w.settings.log.Warn("every event is hashed, because the index cannot be used; a node builds it again when it runs", "reason", why)
	}
	checkpoint, signed, err := w.checkpoint(least, size)
	if err != nil {
		return err
	}
	p := &tree.Proof{Format: tree.ProofFormat, Checkpoint: string(signed)}
	if event != 0 {
		err = w.proveEvent(p, event, checkpoint.Size)
	} else {
		err = w.proveGrowth(p, older, checkpoint.Size)
	}
	if err != nil {
		return err
	}
	data, err := p.Encode()
	if err != nil {
		return err
	}
	_, err = cc.App.Writer.Write(data)
	return fault.Wrap(fault.Temporary, err, "writing the proof")
}

// checkpoint returns the kept checkpoint if it will do, and signs one otherwise.
func (w *witness) checkpoint(least, size uint64) (tree.Checkpoint, []byte, error) {
	kept, signed := w.notary.Kept()
	if signed != nil && (size == kept.Size || size == 0 && kept.Size >= least) {
		return kept, signed, w.notary.Check()
	}
	if size == 0 {
		size = w.journal.Durable().Sequence
	}
	return w.notary.Sign(size)
}

func (w *witness) proveEvent(p *tree.Proof, event, size uint64) error {
	path, err := w.index.Source().Inclusion(event-1, size)
	if err != nil {
		return err
	}
	if _, _, err := w.journal.Event(event); err != nil { // its hash is checked
		return err
	}
	it := w.journal.Iterate(event, false)
	if !it.Next() {
		return errors.Join(it.Close(), fault.New(fault.Corrupt, "event %d is not there", event))
	}
	_, envelope, _ := it.Raw()
	inclusion := &tree.Inclusion{Event: event, Envelope: append([]byte(nil), envelope...)}
	_, err = journal.DecodeEvent(inclusion.Envelope, func(h journal.Hash) ([]byte, error) {
		data, err := w.journal.Content(h)
		if err == nil {
			inclusion.Contents = append(inclusion.Contents, data)
		}
		return data, err
	})
	p.Inclusion, p.Hashes = inclusion, tree.HexHashes(path)
	return errors.Join(err, it.Close())
}

func (w *witness) proveGrowth(p *tree.Proof, older, size uint64) error {
	source := w.index.Source()
	root, err := source.Root(older)
	if err != nil {
		return err
	}
	path, err := source.Consistency(older, size)
	p.Consistency, p.Hashes = &tree.Consistency{Size: older, Root: tree.HexHash(root)}, tree.HexHashes(path)
	return err
}
