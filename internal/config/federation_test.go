package config

import (
	"strings"
	"testing"
)

// The settings of the federation key exclude and need each other, and no error repeats a
// secret.
func TestFederationSettings(t *testing.T) {
	key, public := strings.Repeat("5a", 32), strings.Repeat("02", 33)
	for _, c := range []struct {
		environ []string
		flags   map[string]string
		want    string // of the error; empty for none
	}{
		{[]string{"ALYS_FEDERATION_KEY=" + key}, nil, ""},
		{[]string{"ALYS_FEDERATION_KEY=0x" + key}, nil, ""},
		{[]string{"ALYS_FEDERATION_KEY=" + key[1:]}, nil, "64 hex digits"},
		{[]string{"ALYS_FEDERATION_KEY=" + key}, map[string]string{"federation-key-file": "k"}, "keep one"},
		{nil, map[string]string{"federation-key-file": "k"}, ""},
		{[]string{"ALYS_FEDERATION_KEY_PASSPHRASE=hush"}, map[string]string{"federation-key-file": "k"}, ""},
		{[]string{"ALYS_FEDERATION_KEY_PASSPHRASE=hush"}, map[string]string{"federation-key-file": "k", "federation-key-passphrase-file": "p"}, "both set"},
		{[]string{"ALYS_FEDERATION_KEY_PASSPHRASE=hush"}, nil, "set it too"},
		{nil, map[string]string{"federation-signer": "unix:/s"}, "go together"},
		{nil, map[string]string{"federation-signer-key": public}, "go together"},
		{nil, map[string]string{"federation-signer": "unix:/s", "federation-signer-key": public}, ""},
		{nil, map[string]string{"federation-signer": "unix:/s", "federation-signer-key": public[2:]}, "66 hex digits"},
		{nil, map[string]string{"federation-signer": "unix:", "federation-signer-key": public}, "unix:PATH"},
		{nil, map[string]string{"federation-signer": "somewhere", "federation-signer-key": public}, "host and port"},
		{nil, map[string]string{"federation-signer": "h:1", "federation-signer-key": public}, "needs all three"},
		{nil, map[string]string{"federation-signer": "h:1", "federation-signer-key": public, "federation-signer-cert": "a", "federation-signer-cert-key": "b"}, "needs all three"},
		{nil, map[string]string{"federation-signer": "h:1", "federation-signer-key": public, "federation-signer-cert": "a", "federation-signer-cert-key": "b", "federation-signer-ca": "c"}, ""},
		{nil, map[string]string{"federation-signer": "unix:/s", "federation-signer-key": public, "federation-signer-ca": "c"}, "needs all three"},
		{nil, map[string]string{"federation-signer": "unix:/s", "federation-signer-key": public, "federation-key-file": "k"}, "keep one"},
	} {
		_, err := Load(Sources{Environ: c.environ, Flags: c.flags})
		switch {
		case c.want == "" && err == nil:
		case err == nil || c.want == "" || !strings.Contains(err.Error(), c.want):
			t.Errorf("%v %v: %v, want %q", c.environ, c.flags, err, c.want)
		case strings.Contains(err.Error(), key[1:]) || strings.Contains(err.Error(), "hush"):
			t.Errorf("a secret is in %v", err)
		}
	}
}
