package keeper_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// authority signs certificates.
type authority struct {
	dir  string
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = writePEM(t, a.dir, "ca.crt", "CERTIFICATE", der)
	return a
}

// issue writes a certificate for 127.0.0.1 and its key.
func (a *authority) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	own := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, a.dir, name+".crt", "CERTIFICATE", der), writePEM(t, a.dir, name+".pem", "PRIVATE KEY", private)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, dir, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Beyond the machine both sides show a certificate of the operator's authority; without
// one there is no connection in either direction.
func TestTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	serverCert, serverKey := ours.issue(t, "signer")
	secure, err := pegsigner.TLS(serverCert, serverKey, ours.file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "log")
	logOf(t, path, 0)
	l, err := reopen(t, path)
	if err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t, l)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- k.Serve(ctx, listener, secure) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	ask := func(from, trust *authority) error {
		cert, key := from.issue(t, "node")
		r, err := pegsigner.Dial(pegsigner.Remote{
			Address: listener.Addr().String(), PublicKey: secretOf(t, 1).PublicKey(), CertFile: cert, KeyFile: key, CAFile: trust.file, Timeout: 2 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		return pegsigner.DryRun(t.Context(), r)
	}
	if err := ask(ours, ours); err != nil {
		t.Error(err)
	}
	if err := ask(others, ours); !fault.Is(err, fault.Temporary) {
		t.Errorf("a node of another authority: %v", err)
	}
	if err := ask(ours, others); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a signer of another authority: %v", err)
	}
	if d, err := pegsigner.Dial(pegsigner.Remote{Address: listener.Addr().String(), PublicKey: secretOf(t, 1).PublicKey()}); !fault.Is(err, fault.Invalid) {
		t.Errorf("without certificates: %v, %v", d, err)
	}
	if _, err := pegsigner.TLS(serverCert, serverKey, path); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "no certificate") {
		t.Error(err)
	}
	if _, err := pegsigner.TLS(serverCert, filepath.Join(ours.dir, "none"), ours.file); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
