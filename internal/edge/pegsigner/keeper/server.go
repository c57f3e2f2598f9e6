package keeper

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner/keeper/signerpb"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

const (
	maxRequest     = 2 << 20 // bytes: a transaction of 100,000, its outputs spent, replaced txids
	maxConnections = 16
	maxStreams     = 4 // calls at a time of one connection
	connectTime    = 5 * time.Second
	idleTime       = 5 * time.Minute
	stopTime       = 5 * time.Second
)

// Keeper signs payments. Create it with [New].
type Keeper struct {
	signerpb.UnimplementedFederationSignerServer

	signer     *pegsigner.Local
	federation *peg.Federation
	public     [33]byte
	member     int
	software   string
	policy     Policy
	slog       *slog.Logger
	now        func() time.Time
	failed     chan error // of the log; it ends Serve

	mu     sync.Mutex
	log    *Log
	memory *memory
}

// Options of a keeper.
type Options struct {
	Federation *peg.Federation
	Policy     Policy
	Log        *Log // opened for the key
	Software   string
	Logger     *slog.Logger
	Now        func() time.Time // nil for the wall clock
}

// New returns the keeper of a member's key, which it owns from now on, with the memory
// that its log holds.
func New(secret *pegsigner.Secret, o Options) (*Keeper, error) {
	signer, err := pegsigner.NewLocal(secret, o.Federation)
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		signer: signer, federation: o.Federation, public: signer.PublicKey(), software: o.Software,
		policy: o.Policy, slog: o.Logger, now: o.Now, failed: make(chan error, 1), log: o.Log, memory: newMemory(),
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.member, err = pegsigner.Member(o.Federation, k.public); err != nil {
		return nil, err
	}
	for i := range o.Log.Records {
		e, err := o.Log.Records[i].entry()
		if err != nil {
			return nil, fault.New(fault.Corrupt, "signer log, record %d: %w; restore it from a copy", i+1, err)
		}
		k.memory.add(e)
	}
	return k, nil
}

// Serve answers until ctx ends or the log fails. Without a configuration of TLS the
// listener must be one that only the operator's own processes reach.
func (k *Keeper) Serve(ctx context.Context, l net.Listener, secure *tls.Config) error {
	protect := insecure.NewCredentials()
	if secure != nil {
		protect = credentials.NewTLS(secure)
	}
	server := grpc.NewServer(grpc.Creds(protect), grpc.MaxRecvMsgSize(maxRequest), grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectTime), grpc.MaxHeaderListSize(16<<10),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTime, Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}))
	signerpb.RegisterFederationSignerServer(server, k)
	served := make(chan error, 1)
	go func() { served <- server.Serve(limit(l, maxConnections)) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-k.failed:
	case err = <-served:
		return fault.Wrap(fault.Fatal, err, "serving signatures")
	}
	// A client that hangs must not hold the end up.
	end := time.AfterFunc(stopTime, server.Stop)
	defer end.Stop()
	server.GracefulStop()
	<-served
	return err
}

// Describe implements signerpb.FederationSignerServer.
func (k *Keeper) Describe(context.Context, *signerpb.DescribeRequest) (*signerpb.DescribeResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &signerpb.DescribeResponse{
		PublicKey: k.public[:], Member: uint32(k.member), Members: uint32(len(k.federation.Keys)),
		Software: k.software, Payments: uint64(len(k.memory.payments)),
	}, nil
}

// SignDryRun implements signerpb.FederationSignerServer.
func (k *Keeper) SignDryRun(ctx context.Context, r *signerpb.SignDryRunRequest) (*signerpb.SignDryRunResponse, error) {
	if err := k.checkKey(r.PublicKey); err != nil {
		return nil, refusal(err)
	}
	if len(r.Challenge) != 32 {
		return nil, refusal(fault.New(fault.Invalid, "the challenge has %d bytes, want 32", len(r.Challenge)))
	}
	signature, err := k.signer.SignDryRun(ctx, [32]byte(r.Challenge))
	if err != nil {
		return nil, refusal(err)
	}
	k.slog.Info("dry run signed")
	return &signerpb.SignDryRunResponse{Signature: signature[:]}, nil
}

// SignPayment implements signerpb.FederationSignerServer.
func (k *Keeper) SignPayment(ctx context.Context, r *signerpb.SignPaymentRequest) (*signerpb.SignPaymentResponse, error) {
	p, err := k.payment(r)
	if err != nil {
		k.slog.Warn("request refused", "error", err)
		return nil, refusal(err)
	}
	about := k.slog.With("txid", p.Txid.String(), "root", p.Root.Hex(), "height", p.Number)
	if err := k.decide(ctx, p); err != nil {
		about.Warn("payment refused", "error", err)
		return nil, refusal(err)
	}
	signatures, err := k.signer.Sign(ctx, p)
	if err != nil {
		about.Warn("payment not signed", "error", err)
		return nil, refusal(err)
	}
	about.Info("payment signed", "paid", p.Paid(k.federation), "fee", p.Fee, "inputs", len(signatures))
	out := &signerpb.SignPaymentResponse{Signatures: make([][]byte, len(signatures))}
	for i := range signatures {
		out.Signatures[i] = signatures[i][:]
	}
	return out, nil
}

// decide applies the policy and records the decision. When it returns nil the record is
// on disk.
func (k *Keeper) decide(ctx context.Context, p *pegsigner.Payment) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Temporary, err, "the client is gone")
	}
	now := k.now().UnixMilli()
	if err := k.policy.judge(p, k.federation, k.memory, now); err != nil || k.memory.payments[p.Txid] != nil {
		return err
	}
	record := newRecord(p, k.federation, now)
	record.Allowed = k.policy.Allow[p.Txid]
	if err := k.log.Append(record); err != nil {
		select {
		case k.failed <- err:
		default:
		}
		return err
	}
	e, err := record.entry()
	if err != nil {
		return err
	}
	k.memory.add(e)
	return nil
}

// payment reads a request.
func (k *Keeper) payment(r *signerpb.SignPaymentRequest) (*pegsigner.Payment, error) {
	if err := k.checkKey(r.PublicKey); err != nil {
		return nil, err
	}
	m := &message.SignPayout{Number: r.Number}
	if err := errors.Join(hash("txid", m.Txid[:], r.Txid), hash("root", m.Root[:], r.Root)); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "request")
	}
	if len(r.Replaces) > pegsigner.MaxReplaces {
		return nil, fault.New(fault.Invalid, "%d replaced payments, at most %d are possible", len(r.Replaces), pegsigner.MaxReplaces)
	}
	m.Replaces = make([]message.PaymentID, len(r.Replaces))
	for i, txid := range r.Replaces {
		if err := hash("replaced txid", m.Replaces[i].Txid[:], txid); err != nil {
			return nil, err
		}
	}
	m.Raw.Data = r.Transaction
	for _, o := range r.Spent {
		m.Spent = append(m.Spent, message.SpentOutput{Amount: o.GetAmount(), Script: o.GetScript()})
	}
	p, err := pegsigner.NewPayment(m)
	if err != nil {
		return nil, err
	}
	_, err = p.SigHashes(k.federation) // refuses coins of others before anything is recorded
	return p, err
}

func (k *Keeper) checkKey(key []byte) error {
	if !bytes.Equal(key, k.public[:]) {
		return fault.New(fault.CannotJudge, "the request is for key %.33x, this signer holds %x; check the settings of the node", key, k.public)
	}
	return nil
}

func hash(name string, to, from []byte) error {
	if len(from) != len(to) {
		return fault.New(fault.Invalid, "%s has %d bytes, want %d", name, len(from), len(to))
	}
	copy(to, from)
	return nil
}

// refusal is the status of a graded error. What is not the client's fault or the policy's
// is this process's failure, whose text stays in its log.
func refusal(err error) error {
	switch fault.Of(err) {
	case fault.Invalid:
		return status.Error(codes.InvalidArgument, err.Error())
	case fault.CannotJudge:
		return status.Error(codes.FailedPrecondition, err.Error())
	case fault.Temporary:
		return status.Error(codes.ResourceExhausted, err.Error())
	default:
		return status.Error(codes.Internal, "the signer failed; read its log")
	}
}

// newRecord is what the log says of a payment.
func newRecord(p *pegsigner.Payment, f *peg.Federation, now int64) *Record {
	r := &Record{Time: now, Txid: p.Txid.String(), Root: p.Root.Hex(), Number: p.Number, Paid: p.Paid(f), Fee: p.Fee}
	for _, in := range p.Tx.TxIn {
		r.Inputs = append(r.Inputs, in.PreviousOutPoint.String())
	}
	for _, txid := range p.Replaces {
		r.Replaces = append(r.Replaces, txid.String())
	}
	return r
}

// entry reads a record back.
func (r *Record) entry() (*entry, error) {
	txid, err := chainhash.NewHashFromStr(r.Txid)
	if err != nil || len(r.Txid) != 2*chainhash.HashSize {
		return nil, fault.New(fault.Corrupt, "txid %.80q is none", r.Txid)
	}
	e := &entry{txid: *txid, number: r.Number, time: r.Time, paid: r.Paid}
	for _, text := range r.Inputs {
		at, err := wire.NewOutPointFromString(text)
		if err != nil {
			return nil, fault.New(fault.Corrupt, "input %.80q is none", text)
		}
		e.inputs = append(e.inputs, *at)
	}
	if len(e.inputs) == 0 {
		return nil, fault.New(fault.Corrupt, "payment %s has no inputs", r.Txid)
	}
	return e, nil
}
