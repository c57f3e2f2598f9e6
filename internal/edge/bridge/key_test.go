package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const secret = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"

// sealed is the key in a keystore file with cheap parameters.
func sealed(t testing.TB, passphrase string) []byte {
	t.Helper()
	key, err := crypto.HexToECDSA(secret)
	if err != nil {
		t.Fatal(err)
	}
	box, err := keystore.EncryptDataV3(crypto.FromECDSA(key), []byte(passphrase), 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{"version": 3, "id": "x", "address": crypto.PubkeyToAddress(key.PublicKey), "crypto": box})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func keyFile(t *testing.T, data []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func says(text string) func() (string, error) { return func() (string, error) { return text, nil } }

func TestReadKey(t *testing.T) {
	want := common.HexToAddress("0x2c7536E3605D9C16a7a3D7b1898e529396a65c23")
	for name, data := range map[string][]byte{
		"hex": []byte(secret), "0x and newline": []byte("0x" + secret + "\n"), "keystore": sealed(t, "open sesame"),
	} {
		key, err := ReadKey(keyFile(t, data, 0o600), says("open sesame"))
		if err != nil || crypto.PubkeyToAddress(key.PublicKey) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := errors.New("no passphrase")
	if _, err := ReadKey(keyFile(t, sealed(t, "x"), 0o600), func() (string, error) { return "", wrong }); !errors.Is(err, wrong) {
		t.Errorf("no passphrase: %v", err)
	}
	for name, test := range map[string]struct {
		data []byte
		mode os.FileMode
		want string
	}{
		"readable by the group": {[]byte(secret), 0o640, "chmod 600"},
		"readable by all":       {[]byte(secret), 0o604, "chmod 600"},
		"passphrase":            {sealed(t, "another"), 0o600, "passphrase does not open"},
		"empty":                 {nil, 0o600, "neither a keystore file nor"},
		"short":                 {[]byte(secret[2:]), 0o600, "neither a keystore file nor"},
		"no hex":                {[]byte(secret[2:] + "xy"), 0o600, "no secp256k1 key"},
		"zero":                  {bytes.Repeat([]byte("0"), 64), 0o600, "no secp256k1 key"},
		"huge":                  {make([]byte, maxKeyFile+1), 0o600, "a key has at most"},
		"other JSON":            {[]byte(`{"a": 1}`), 0o600, "version 3"},
		"broken JSON":           {[]byte(`{"a": `), 0o600, "no keystore file"},
		"no parameters":         {[]byte(`{"version": 3, "crypto": {"kdf": "scrypt"}}`), 0o600, "iv"},
	} {
		_, err := ReadKey(keyFile(t, test.data, test.mode), says("open sesame"))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrExposed) != (test.mode != 0o600) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret[4:20]) {
			t.Errorf("%s: the error holds the key", name)
		}
	}
	if _, err := ReadKey(t.TempDir(), nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ReadKey(filepath.Join(t.TempDir(), "none"), nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("no file: %v", err)
	}
}

// Parameters that would panic or take all memory are refused before they are used.
func TestKeystoreParameters(t *testing.T) {
	good := string(sealed(t, "p"))
	for from, to := range map[string]string{
		`"n":4`:          `"n":3`,
		`"r":8`:          `"r":1e9`,
		`"p":1`:          `"p":0.5`,
		`"dklen":32`:     `"dklen":16`,
		`"salt"`:         `"pepper"`,
		`"kdf":"scrypt"`: `"kdf":"argon"`,
		`"iv":"`:         `"iv":"00`,
	} {
		bad := strings.Replace(good, from, to, 1)
		if bad == good {
			t.Fatalf("%s is not in %s", from, good)
		}
		if _, err := openKeystore([]byte(bad), "p"); err == nil {
			t.Errorf("%s: opened", to)
		}
	}
	if _, err := openKeystore([]byte(strings.Replace(good, `"n":4`, `"n":1073741824`, 1)), "p"); err == nil || !strings.Contains(err.Error(), "512 MiB") {
		t.Errorf("much memory: %v", err)
	}
}

// Any file opens or is refused, never a panic.
func FuzzOpenKeystore(f *testing.F) {
	f.Add(sealed(f, "p"), "p")
	f.Add([]byte(`{"version":3,"crypto":{"cipher":"aes-128-ctr","kdf":"pbkdf2","kdfparams":{"c":1,"dklen":32,"prf":"hmac-sha256","salt":"00"},"cipherparams":{"iv":"00000000000000000000000000000000"},"mac":"00","ciphertext":"00"}}`), "")
	f.Fuzz(func(t *testing.T, data []byte, passphrase string) {
		if len(data) > 4096 || bytes.Count(data, []byte("c")) > 200 {
			return
		}
		if key, err := openKeystore(data, passphrase); err == nil && key == nil {
			t.Fatal("neither key nor error")
		}
	})
}
