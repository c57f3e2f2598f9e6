package config

import (
	"encoding/hex"
	"net"
	"strings"
)

// unixSigner begins the address of a signer process on this machine.
const unixSigner = "unix:"

var federationSettings = []Setting{
	{
		Key: "federation-key", Group: Federation, Kind: kindHex, Secret: true,
		Help:    "Bitcoin secret key of this federation member, the --bitcoin-secret-key of the legacy program; prefer federation-key-file or federation-signer",
		Allowed: "32 bytes as 64 hex digits, above zero and below the order of secp256k1",
		field:   func(c *Config) any { return &c.Federation.Key }, check: func(c *Config) bool { return validScalar(c.Federation.Key) },
	},
	{
		Key: "federation-key-file", Group: Federation, Kind: kindPath, Example: "federation.key",
		Help:  "file with that key sealed by alys key seal",
		field: func(c *Config) any { return &c.Federation.KeyFile },
	},
	{
		Key: "federation-key-passphrase", Group: Federation, Kind: kindText, Secret: true,
		Help:  "passphrase of federation-key-file; without it and the next one it is asked for on the terminal",
		field: func(c *Config) any { return &c.Federation.Passphrase },
	},
	{
		Key: "federation-key-passphrase-file", Group: Federation, Kind: kindPath, Example: "/run/secrets/federation",
		Help:  "file with that passphrase in one line, which not every user can read",
		field: func(c *Config) any { return &c.Federation.PassphraseFile },
	},
	{
		Key: "federation-signer", Group: Federation, Kind: kindAddr, Example: "unix:/run/alys/signer.sock",
		Help:    "process that holds the federation key instead: alys signer serve",
		Allowed: "empty, unix:PATH, or host and port with the three files of TLS",
		field:   func(c *Config) any { return &c.Federation.Signer },
		check:   func(c *Config) bool { return validSigner(c.Federation.Signer) },
	},
	{
		Key: "federation-signer-key", Group: Federation, Kind: kindHex, Example: "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
		Help:    "public key of that process, as alys key show prints it: the node starts while the process is away",
		Allowed: "a compressed public key as 66 hex digits",
		field:   func(c *Config) any { return &c.Federation.SignerKey },
		check:   func(c *Config) bool { return c.Federation.SignerKey == "" || hexOf(c.Federation.SignerKey, 33) },
	},
	{
		Key: "federation-signer-cert", Group: Federation, Kind: kindPath, Example: "node.crt",
		Help:  "certificate (PEM) that the node shows to a signer on another machine",
		field: func(c *Config) any { return &c.Federation.SignerCert },
	},
	{
		Key: "federation-signer-cert-key", Group: Federation, Kind: kindPath, Example: "node.pem",
		Help:  "key (PEM) of that certificate",
		field: func(c *Config) any { return &c.Federation.SignerCertKey },
	},
	{
		Key: "federation-signer-ca", Group: Federation, Kind: kindPath, Example: "ca.crt",
		Help:  "authority (PEM) that the signer's certificate must be of",
		field: func(c *Config) any { return &c.Federation.SignerCA },
	},
}

// checkFederation applies the limits between the settings of the federation key.
func (l *loader) checkFederation() {
	f, origins := &l.config.Federation, l.config.origins
	var given []string
	for _, source := range []struct {
		key string
		set bool
	}{{"federation-key", f.Key != ""}, {"federation-key-file", f.KeyFile != ""}, {"federation-signer", f.Signer != ""}} {
		if source.set {
			given = append(given, source.key+" ("+origins[source.key].String()+")")
		}
	}
	if len(given) > 1 {
		l.fail("%s are set: keep one", strings.Join(given, " and "))
	}
	if f.Passphrase != "" && f.PassphraseFile != "" {
		l.fail("federation-key-passphrase (%s) and federation-key-passphrase-file (%s) are both set: remove one",
			origins["federation-key-passphrase"], origins["federation-key-passphrase-file"])
	}
	if f.KeyFile == "" && (f.Passphrase != "" || f.PassphraseFile != "") {
		l.fail("a passphrase is for federation-key-file: set it too, or remove federation-key-passphrase (%s) and federation-key-passphrase-file (%s)",
			origins["federation-key-passphrase"], origins["federation-key-passphrase-file"])
	}
	if (f.Signer == "") != (f.SignerKey == "") {
		l.fail("federation-signer (%s) and federation-signer-key (%s) go together: set both or none", origins["federation-signer"], origins["federation-signer-key"])
	}
	files := 0
	for _, path := range []string{f.SignerCert, f.SignerCertKey, f.SignerCA} {
		if path != "" {
			files++
		}
	}
	far := f.Signer != "" && !strings.HasPrefix(f.Signer, unixSigner)
	if far && files < 3 || !far && files > 0 {
		l.fail("federation-signer-cert (%s), -cert-key (%s) and -ca (%s) are for a federation-signer of host and port, which needs all three",
			origins["federation-signer-cert"], origins["federation-signer-cert-key"], origins["federation-signer-ca"])
	}
}

func validScalar(s Secret) bool {
	digits := strings.TrimPrefix(strings.TrimSpace(string(s)), "0x")
	return s == "" || hexOf(digits, 32)
}

func hexOf(text string, size int) bool {
	data, err := hex.DecodeString(text)
	return err == nil && len(data) == size
}

func validSigner(address string) bool {
	if path, ok := strings.CutPrefix(address, unixSigner); ok || address == "" {
		return address == "" || path != ""
	}
	host, port, err := net.SplitHostPort(address)
	return err == nil && host != "" && port != ""
}
