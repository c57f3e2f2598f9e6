package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cometbft/cometbft/consensus"
	cometlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/types"
	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
	tidwall "github.com/tidwall/wal"
	etcdwal "go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/AnduroProject/alys-go/journal"
)

// Places in contenders of those that others are compared with.
const (
	ourJournal = iota
	rawPebble
)

var contenders = []contender{
	ourJournal: {"alys journal", true, openJournal},
	rawPebble:  {"raw Pebble", true, openPebble},
	{"etcd WAL", true, openEtcd},
	{"raft-wal", true, openRaft},
	{"CometBFT WAL", true, openComet},
	{"tidwall/wal", false, openTidwall},
}

// ours is the journal, with an event of one stored message.
type ours struct {
	j      *journal.Journal
	mu     sync.Mutex
	events []journal.Event
}

func openJournal(dir string) (eventLog, error) {
	j, err := journal.Open(journal.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	return &ours{j: j}, err
}

func (o *ours) append(payloads [][]byte) error {
	o.mu.Lock()
	next := o.j.Head().Sequence + 1
	o.events = o.events[:0]
	for i, p := range payloads {
		o.events = append(o.events, journal.Event{
			Actor: "counter", Type: "load", Schema: 1, Stored: true, Time: 1, Sequence: next + uint64(i), Message: p})
	}
	head, err := o.j.AppendBatch(o.events)
	o.mu.Unlock()
	if err != nil {
		return err
	}
	return o.j.WaitDurable(context.Background(), head.Sequence)
}

func (o *ours) close() error { return o.j.Close() }

// raw is Pebble with its defaults and a synced batch for each append.
type raw struct {
	db   *pebble.DB
	next atomic.Uint64
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func openPebble(dir string) (eventLog, error) {
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}, MemTableSize: 32 << 20})
	return &raw{db: db}, err
}

func (r *raw) append(payloads [][]byte) error {
	b := r.db.NewBatch()
	last := r.next.Add(uint64(len(payloads)))
	for i, p := range payloads {
		op := b.SetDeferred(8, len(p))
		binary.BigEndian.PutUint64(op.Key, last-uint64(len(payloads))+uint64(i)+1)
		copy(op.Value, p)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return b.Close()
}

func (r *raw) close() error { return r.db.Close() }

// shared lets one goroutine write for all: it takes what waits and writes it at
// once.
type shared struct {
	requests chan request
	done     chan struct{}
	write    func(payloads [][]byte) error // durable
	end      func() error
}

type request struct {
	payloads [][]byte
	result   chan error
}

// maxShared is the most entries of one append by the shared goroutine.
const maxShared = 4096

func share(write func([][]byte) error, end func() error) eventLog {
	s := &shared{requests: make(chan request, 256), done: make(chan struct{}), write: write, end: end}
	go s.loop()
	return s
}

func (s *shared) loop() {
	defer close(s.done)
	var group []request
	var payloads [][]byte
	for r := range s.requests {
		group, payloads = append(group[:0], r), append(payloads[:0], r.payloads...)
		for len(payloads) < maxShared {
			more := false
			select {
			case r, ok := <-s.requests:
				if more = ok; ok {
					group, payloads = append(group, r), append(payloads, r.payloads...)
				}
			default:
			}
			if !more {
				break
			}
		}
		err := s.write(payloads)
		for _, r := range group {
			r.result <- err
		}
	}
}

var results = sync.Pool{New: func() any { return make(chan error, 1) }}

func (s *shared) append(payloads [][]byte) error {
	result := results.Get().(chan error)
	defer results.Put(result)
	s.requests <- request{payloads, result}
	return <-result
}

func (s *shared) close() error {
	close(s.requests)
	<-s.done
	return s.end()
}

func openEtcd(dir string) (eventLog, error) {
	w, err := etcdwal.Create(zap.NewNop(), dir, nil)
	if err != nil {
		return nil, err
	}
	var index uint64
	var entries []raftpb.Entry
	write := func(payloads [][]byte) error {
		entries = entries[:0]
		for _, p := range payloads {
			index++
			entries = append(entries, raftpb.Entry{Term: 1, Index: index, Data: p})
		}
		return w.Save(raftpb.HardState{Term: 1, Commit: index}, entries)
	}
	return share(write, w.Close), nil
}

func openRaft(dir string) (eventLog, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	w, err := raftwal.Open(dir)
	if err != nil {
		return nil, err
	}
	var index uint64
	var logs []*raft.Log
	write := func(payloads [][]byte) error {
		for len(logs) < len(payloads) {
			logs = append(logs, new(raft.Log))
		}
		for i, p := range payloads {
			index++
			*logs[i] = raft.Log{Index: index, Term: 1, Type: raft.LogCommand, Data: p}
		}
		return w.StoreLogs(logs[:len(payloads)])
	}
	return share(write, w.Close), nil
}

func openTidwall(dir string) (eventLog, error) {
	w, err := tidwall.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	var index uint64
	batch := new(tidwall.Batch)
	write := func(payloads [][]byte) error {
		batch.Clear()
		for _, p := range payloads {
			index++
			batch.Write(index, p)
		}
		return w.WriteBatch(batch)
	}
	return share(write, w.Close), nil
}

// comet is the WAL of consensus. Its messages are closed to other packages but
// one that carries a string, which holds the payload.
type comet struct {
	mu  sync.Mutex
	wal *consensus.BaseWAL
}

func openComet(dir string) (eventLog, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	w, err := consensus.NewWAL(filepath.Join(dir, "wal"))
	if err != nil {
		return nil, err
	}
	w.SetLogger(cometlog.NewNopLogger())
	return &comet{wal: w}, w.Start()
}

func (c *comet) append(payloads [][]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range payloads {
		m := types.EventDataRoundState{Height: 1, Step: string(p)}
		write := c.wal.Write
		if i == len(payloads)-1 {
			write = c.wal.WriteSync
		}
		if err := write(m); err != nil {
			return err
		}
	}
	return nil
}

func (c *comet) close() error {
	err := c.wal.Stop()
	c.wal.Wait()
	return err
}
