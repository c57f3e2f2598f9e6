package pegsigner

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner/keeper/signerpb"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	// DefaultTimeout is how long one request may take, with the waiting for a signer
	// that is away and the repetitions.
	DefaultTimeout = 15 * time.Second

	unixPrefix  = "unix:"
	maxResponse = 4 << 20 // 10,000 signatures take 0.7 MiB
	maxReason   = 512     // bytes of what a signer says of a refusal
)

// Remote says where a signer process is. See docs/formats/signer.md.
type Remote struct {
	Address   string   // unix:PATH, or HOST:PORT, which needs the three files
	PublicKey [33]byte // that it must sign with
	// The client's certificate and key, and the authority that the signer's
	// certificate is of, as PEM files.
	CertFile, KeyFile, CAFile string
	Timeout                   time.Duration // of one request; 0 means DefaultTimeout
}

// RemoteSigner reaches a signer process over gRPC. It connects when it is asked, and
// again after the connection ended, with growing pauses.
type RemoteSigner struct {
	connection *grpc.ClientConn
	client     signerpb.FederationSignerClient
	address    string
	public     [33]byte
	timeout    time.Duration
}

// retries asks again when the signer could not be reached or stopped meanwhile: a
// payment may be signed twice.
const retries = `{"methodConfig": [{"name": [{"service": "alys.signer.v1.FederationSigner"}], "waitForReady": true,
 "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "2s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// Dial prepares the way to a signer process; it need not run yet. Errors are in the
// settings: an address or files that cannot be used.
func Dial(r Remote) (*RemoteSigner, error) {
	if _, err := btcec.ParsePubKey(r.PublicKey[:]); err != nil {
		return nil, fault.New(fault.Invalid, "public key %x of the federation signer is none: give the 33 bytes that alys key show prints", r.PublicKey)
	}
	protect := insecure.NewCredentials() // the socket's permissions protect it
	target := r.Address
	if path, ok := strings.CutPrefix(r.Address, unixPrefix); ok {
		if path == "" || r.CertFile+r.KeyFile+r.CAFile != "" {
			return nil, fault.New(fault.Invalid, "federation signer %s: a socket has a path and no certificates", r.Address)
		}
	} else {
		config, err := TLS(r.CertFile, r.KeyFile, r.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs, config.ClientCAs = config.ClientCAs, nil
		protect, target = credentials.NewTLS(config), "dns:///"+r.Address
	}
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(protect),
		grpc.WithDefaultServiceConfig(retries), grpc.WithDisableServiceConfig(), grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 10 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponse)))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "federation signer "+r.Address)
	}
	if r.Timeout == 0 {
		r.Timeout = DefaultTimeout
	}
	return &RemoteSigner{
		connection: connection, client: signerpb.NewFederationSignerClient(connection),
		address: r.Address, public: r.PublicKey, timeout: r.Timeout,
	}, nil
}

// TLS reads what both ends of a connection need: each shows a certificate, and takes
// only those of one authority. The authority is in ClientCAs.
func TLS(certFile, keyFile, caFile string) (*tls.Config, error) {
	if certFile == "" || keyFile == "" || caFile == "" {
		return nil, fault.New(fault.Invalid, "a signer beyond this machine needs certificate, key and authority of TLS, each a PEM file; on this machine use unix:PATH")
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fault.New(fault.Invalid, "certificate %s with key %s cannot be used: %w", certFile, keyFile, reason(err))
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, reason(err), "authority "+caFile)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "authority %s holds no certificate in PEM", caFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}, nil
}

// PublicKey implements [Signer].
func (r *RemoteSigner) PublicKey() [33]byte { return r.public }

// Close implements [Signer].
func (r *RemoteSigner) Close() error { return r.connection.Close() }

// Sign implements [Signer].
func (r *RemoteSigner) Sign(ctx context.Context, p *Payment) ([][64]byte, error) {
	m, err := p.Message()
	if err != nil {
		return nil, err
	}
	request := &signerpb.SignPaymentRequest{
		PublicKey: r.public[:], Txid: m.Txid[:], Root: m.Root[:], Number: m.Number, Transaction: m.Raw.Data,
	}
	for i := range m.Spent {
		request.Spent = append(request.Spent, &signerpb.SpentOutput{Amount: m.Spent[i].Amount, Script: m.Spent[i].Script})
	}
	for i := range m.Replaces {
		request.Replaces = append(request.Replaces, m.Replaces[i].Txid[:])
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	response, err := r.client.SignPayment(ctx, request)
	if err != nil {
		return nil, r.graded(err, "payment "+p.Txid.String())
	}
	signatures := make([][64]byte, len(response.Signatures))
	for i, s := range response.Signatures {
		if signatures[i], err = signatureOf(s); err != nil {
			return nil, fault.Wrap(fault.CannotJudge, err, "federation signer "+r.address+", payment "+p.Txid.String())
		}
	}
	return signatures, nil
}

// SignDryRun implements [Signer].
func (r *RemoteSigner) SignDryRun(ctx context.Context, challenge [32]byte) ([64]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	response, err := r.client.SignDryRun(ctx, &signerpb.SignDryRunRequest{PublicKey: r.public[:], Challenge: challenge[:]})
	if err != nil {
		return [64]byte{}, r.graded(err, "dry run")
	}
	signature, err := signatureOf(response.Signature)
	return signature, fault.Wrap(fault.CannotJudge, err, "federation signer "+r.address)
}

// Description is what a signer process says of itself.
type Description struct {
	PublicKey       [33]byte
	Member, Members uint32
	Software        string
	Payments        uint64
}

// Describe asks the process what it holds.
func (r *RemoteSigner) Describe(ctx context.Context) (Description, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	response, err := r.client.Describe(ctx, &signerpb.DescribeRequest{})
	if err != nil {
		return Description{}, r.graded(err, "description")
	}
	d := Description{Member: response.Member, Members: response.Members, Software: response.Software, Payments: response.Payments}
	if len(response.PublicKey) != len(d.PublicKey) {
		return d, fault.New(fault.Invalid, "federation signer %s: its public key has %d bytes, want %d", r.address, len(response.PublicKey), len(d.PublicKey))
	}
	d.PublicKey = [33]byte(response.PublicKey)
	return d, nil
}

// graded turns the status of a call into a graded error.
func (r *RemoteSigner) graded(err error, what string) error {
	s, _ := status.FromError(err)
	text := s.Message()
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	about := "federation signer " + r.address + ", " + what
	switch s.Code() {
	case codes.InvalidArgument, codes.OutOfRange:
		return fault.New(fault.Invalid, "%s: the request is wrong: %q", about, text)
	case codes.FailedPrecondition, codes.PermissionDenied, codes.Unimplemented:
		return fault.New(fault.CannotJudge, "%s: refused: %q", about, text) // an operator can change that
	default:
		// Away, slow, at its limit, broken: none of it says that the payment is wrong.
		return fault.New(fault.Temporary, "%s: %s: %q; check that the signer runs and can be reached", about, s.Code(), text)
	}
}

func signatureOf(data []byte) (s [64]byte, err error) {
	if len(data) != len(s) {
		return s, fault.New(fault.Invalid, "a signature has %d bytes, want %d", len(data), len(s))
	}
	return [64]byte(data), nil
}

// ParsePublicKey reads a compressed public key as 66 hex digits.
func ParsePublicKey(text string) (key [33]byte, err error) {
	data, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err == nil && len(data) != len(key) {
		err = errors.New("wrong length")
	}
	if err == nil {
		_, err = btcec.ParsePubKey(data)
	}
	if err != nil {
		return key, fault.New(fault.Invalid, "%.80q is no compressed public key of 66 hex digits, as alys key show prints it", text)
	}
	return [33]byte(data), nil
}
