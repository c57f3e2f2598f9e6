package rpc_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
	"github.com/AnduroProject/alys-go/projections/peers"
	pegledger "github.com/AnduroProject/alys-go/projections/peg"
)

const (
	legacyData = "../../../testdata/legacy"
	// recordedHead is the head of chain single while the requests were recorded, and
	// recordedPow its latest carrier.
	recordedHead = 91
	recordedPow  = 88
)

// chainBackend is a node on the first blocks of a legacy chain: blocks from its
// store, work from the real miner core.
type chainBackend struct {
	deposit string
	ledger  *pegledger.Ledger
	record  *peers.Store
	// notSynced is why no deposit address is given; nil for nothing.
	notSynced []string
	blocks    []*rpc.Block // by height
	byRoot    map[common.Hash]*rpc.Block
	// finalized is a height.
	finalized uint64

	mu       sync.Mutex
	queued   *block.AuxPowHeader
	revision uint64
	state    core.State
	turns    int           // of the miner actor that clients caused
	hold     chan struct{} // closed to let requests for work go on; nil for none
	// lastSubmit is the last proof that became a turn.
	lastSubmit *message.SubmitAuxBlock
}

// legacyBackend reads chain single up to its recorded head.
func legacyBackend(t testing.TB) *chainBackend {
	t.Helper()
	dir := filepath.Join(legacyData, "chains", "single")
	text, err := os.ReadFile(filepath.Join(dir, "chain.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	b := &chainBackend{ledger: pegLedger(t), record: peersRecord(t), byRoot: map[common.Hash]*rpc.Block{}, state: miner.New().NewState()}
	federation, err := peg.NewFederation(c.FederationKeys)
	if err != nil {
		t.Fatal(err)
	}
	if b.deposit, err = federation.Address(&chaincfg.RegressionNetParams); err != nil {
		t.Fatal(err)
	}
	b.read(t, filepath.Join(dir, "chain_db"))
	b.handle(&message.NodeConfigured{ChainSpec: record.NewContent(c.Encode())})
	b.moved(c.Bits)
	for _, found := range b.blocks[:b.finalized+1] {
		found.Finalized = true
	}
	return b
}

// read takes the blocks of a legacy store. (C19)
func (b *chainBackend) read(t testing.TB, dir string) {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	db, err := leveldb.OpenFile(copied, &opt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for height := uint64(0); height <= recordedHead; height++ {
		root, err := db.Get(binary.BigEndian.AppendUint64([]byte("bbh"), height), nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := db.Get(append([]byte("blk"), root...), nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := block.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		found := &rpc.Block{Root: common.Hash(root), Signed: signed, Connected: true}
		b.blocks = append(b.blocks, found)
		b.byRoot[found.Root] = found
	}
}

// moved tells the miner core what the chain actor would.
func (b *chainBackend) moved(genesisBits uint32) {
	id := func(n int) *message.BlockID { return &message.BlockID{Root: b.blocks[n].Root, Number: uint64(n)} }
	m := &message.ChainMoved{Reset: true, LatestPow: id(0), Finalized: id(0), LatestBits: genesisBits}
	for n, found := range b.blocks[1:] {
		if h := found.Signed.Block.AuxPowHeader; h != nil {
			end := b.byRoot[h.RangeEnd].Signed.Block.Payload.BlockNumber
			m.LatestPow, m.Finalized, m.LatestBits = id(n+1), id(int(end)), h.Bits
			b.finalized = end
		}
	}
	for n := int(m.Finalized.Number) + 1; n < len(b.blocks); n++ {
		m.Connected = append(m.Connected, *id(n))
	}
	b.handle(m)
}

func (b *chainBackend) handle(m core.Message) (answer core.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out core.Out
	b.state = b.state.Clone()
	miner.New().Handle(b.state, m, core.Turn{Sequence: 1}, &out)
	for _, o := range out.List() {
		if o.Kind == core.Effect {
			answer = o.Message
		}
	}
	return answer
}

func (b *chainBackend) DepositAddress() string { return b.deposit }

func (b *chainBackend) Head(context.Context) (*rpc.Block, error) {
	return b.blocks[len(b.blocks)-1], nil
}

func (b *chainBackend) BlockByHeight(_ context.Context, height uint64) (*rpc.Block, error) {
	if height >= uint64(len(b.blocks)) {
		return nil, nil
	}
	return b.blocks[height], nil
}

func (b *chainBackend) BlockByHash(_ context.Context, root common.Hash) (*rpc.Block, error) {
	return b.byRoot[root], nil
}

func (b *chainBackend) QueuedWork(context.Context) (*block.AuxPowHeader, error) { return b.queued, nil }

func (b *chainBackend) Finalized(context.Context) (*rpc.Block, error) {
	return b.blocks[b.finalized], nil
}

func (b *chainBackend) ChainID() uint32 { return 262145 }

// The journal and the status of this backend are made up.

func (b *chainBackend) JournalHead() rpc.JournalHead {
	return rpc.JournalHead{Journal: "6a6f75726e616c0000000000000000", Sequence: 2, Hash: common.Hash{2}.Hex(), Indexed: 2}
}

func (b *chainBackend) JournalEvent(_ context.Context, sequence uint64) (json.RawMessage, error) {
	if sequence == 0 || sequence > 2 {
		return nil, nil
	}
	return json.RawMessage(fmt.Sprintf(`{"sequence":%d,"time_ms":1795454655000,"actor":"supervisor","type":"node_configured","schema":1,"outcome":"ok","stored":true,"message":{},"outputs":[],"contents":[]}`, sequence)), nil
}

func (b *chainBackend) JournalFind(ctx context.Context, q rpc.EventQuery, _ int) (*rpc.EventPage, error) {
	page := &rpc.EventPage{Cursor: "2-2"}
	event, err := b.JournalEvent(ctx, max(q.From, 1))
	page.Events = append(page.Events, event)
	return page, err
}

func (b *chainBackend) Status(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`{"version":"v0.0.0","running":true,"head":{"height":91}}`), nil
}

func (b *chainBackend) Health() rpc.Health {
	return rpc.Health{Ready: false, Warnings: []rpc.HealthProblem{}, Reasons: []rpc.HealthProblem{
		{Code: "syncing", Text: "the head, block 91, is 3s behind the clock", Do: "wait, or look at peers and producers", Since: "2026-11-23T17:24:15Z"},
	}}
}

func (b *chainBackend) Revision() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.revision
}

func (b *chainBackend) setRevision(n uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revision = n
}

func (b *chainBackend) HandedOut() []rpc.Work { return nil }

func (b *chainBackend) CreateAuxBlock(_ context.Context, recipient common.Address) (*message.AuxBlock, error) {
	b.turns++
	if b.hold != nil {
		<-b.hold
	}
	return b.handle(&message.CreateAuxBlock{FeeRecipient: recipient}).(*message.AuxBlock), nil
}

func (b *chainBackend) SubmitAuxBlock(_ context.Context, m *message.SubmitAuxBlock) (*message.AuxBlockJudged, error) {
	b.turns++
	b.lastSubmit = m
	answer := b.handle(m)
	if answer == nil { // the chain actor queues it
		return &message.AuxBlockJudged{Accepted: true}, nil
	}
	return answer.(*message.AuxBlockJudged), nil
}

// served starts a server on a port of its own.
func served(t testing.TB, o rpc.Options) string {
	t.Helper()
	o.Addr = "127.0.0.1:0"
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s, err := rpc.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

// exchange is one recorded request with its answer.
type exchange struct {
	Name    string            `json:"name"`
	Method  string            `json:"method"`
	Request string            `json:"request_body"`
	Closed  bool              `json:"closed"`
	Raw     string            `json:"raw"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// instead is what we answer where legacy closed the connection: status, code and the
// beginning of the text. (rpc.md, last paragraph)
var instead = map[string]struct {
	status, code int
	text         string
}{
	"empty body":                      {400, -32602, "malformed request"},
	"not json":                        {400, -32602, "malformed request"},
	"array":                           {400, -32602, "malformed request"},
	"batch":                           {400, -32602, "malformed request"},
	"no id":                           {400, -32602, "malformed request"},
	"no method":                       {400, -32602, "malformed request"},
	"hash with 0x":                    {400, -32602, "Invalid params"},
	"hash not hex":                    {400, -32602, "Invalid params"},
	"submit unknown hash":             {200, -31100, "unknown-work: "},
	"submit known hash, foreign work": {200, -31108, "malformed-coinbase: "},
	"submit the same again":           {200, -31108, "malformed-coinbase: "},
}

// TestVectorsLegacyRPC repeats every recorded request and compares status, headers
// and body byte for byte.
func TestVectorsLegacyRPC(t *testing.T) {
	repeatRecorded(t, served(t, rpc.Options{Backend: legacyBackend(t)}))
}

// repeatRecorded compares status, headers and body of every recorded exchange.
func repeatRecorded(t *testing.T, addr string) {
	dir := vectors.Dir(legacyData)
	text, err := os.ReadFile(filepath.Join(dir, "rpc", "single.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	passed, closed := 0, 0
	for _, x := range all {
		if t.Run(x.Name, func(t *testing.T) {
			path := "/"
			if x.Name == "other path" {
				path = "/some/other//path?x=1"
			}
			status, headers, body := post(t, addr, x.Method, path, x.Request)
			if x.Closed {
				closed++
				want, listed := instead[x.Name]
				if !listed {
					t.Fatal("legacy closed the connection, and no answer of ours is listed")
				}
				code, message := errorOf(t, body)
				if status != want.status || code != want.code || !strings.HasPrefix(message, want.text) {
					t.Errorf("answered %d %s", status, body)
				}
				return
			}
			if status != x.Status || body != x.Body {
				t.Errorf("answered %d %s\nrecorded %d %s", status, body, x.Status, x.Body)
			}
			headers.Del("Date")
			if len(headers) != len(x.Headers) || headers.Get("Content-Length") != x.Headers["content-length"] {
				t.Errorf("headers %v, recorded %v", headers, x.Headers)
			}
		}) {
			passed++
		}
	}
	t.Logf("\n%-14s %8s %8s\n%-14s %8d %8d, of which legacy closed %d", "file", "requests", "passed", "rpc/single", len(all), passed, closed)
	if len(all) != 59 || closed != len(instead) {
		t.Errorf("%d exchanges, %d closed; the shipped record has 59, %d closed", len(all), closed, len(instead))
	}
}

func errorOf(t *testing.T, body string) (code int, message string) {
	t.Helper()
	var answer struct {
		Error *struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Error == nil {
		t.Fatalf("no error object: %s", body)
	}
	return answer.Error.Code, answer.Error.Message
}

// post sends one request over a connection of its own, and reads the answer raw.
func post(t testing.TB, addr, method, path, body string) (status int, headers http.Header, answer string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", method, path, addr, len(body), body)
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(data)
}
