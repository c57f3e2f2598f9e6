// Package bootnode splits lists of boot addresses as legacy's operators write them.
//
// # Usage
//
//	for _, address := range bootnode.Split(list) { ... }
//
// # Guarantees
//
//   - Addresses separated by commas, by white space, or not at all are told apart, in
//     the order they come in. (wire.md 9.1)
//   - Nothing of the list is lost or changed but the separators: whether each part is
//     an address is for its reader to say.
package bootnode

import "strings"

// beginnings are the protocols that an address begins with, as text.
var beginnings = []string{"/ip4/", "/ip6/", "/dns/", "/dns4/", "/dns6/", "/dnsaddr/"}

// Split returns the addresses of a list.
func Split(list string) []string {
	var out []string
	for _, word := range strings.FieldsFunc(list, separator) {
		out = append(out, concatenated(word)...)
	}
	return out
}

func separator(r rune) bool {
	return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r'
}

// concatenated cuts before each beginning of an address.
func concatenated(word string) []string {
	var out []string
	start := 0
	for i := 1; i < len(word); i++ {
		if begins(word[i:]) {
			out, start = append(out, word[start:i]), i
		}
	}
	return append(out, word[start:])
}

func begins(text string) bool {
	for _, b := range beginnings {
		if strings.HasPrefix(text, b) {
			return true
		}
	}
	return false
}
