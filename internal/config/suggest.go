package config

import "strings"

// Suggest returns a hint to append to an error about an unknown name, or "" when
// no known name is near. Upper and lower case, '-', '_' and '.' count as equal,
// and a name that only lacks its table is found.
func Suggest(known []string, name string) string {
	if len(name) > 100 {
		return ""
	}
	wanted := fold(name)
	best, least := "", 1+max(1, len(name)/3)
	for _, k := range known {
		folded := fold(k)
		d := distance(folded, wanted)
		if d > 1 && strings.HasSuffix(folded, "-"+wanted) {
			d = 1
		}
		if d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

func fold(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
}

// distance is the edit distance of Levenshtein: bytes to insert, delete or
// replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
