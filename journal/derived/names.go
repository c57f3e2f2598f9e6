package derived

import (
	"fmt"
	"slices"
)

// parseName reads the name of a build's directory.
func parseName(name string) (version, number uint32, ok bool) {
	n, err := fmt.Sscanf(name, "%d-%d", &version, &number)
	return version, number, err == nil && n == 2 && name == buildName(version, number)
}

func buildName(version, number uint32) string { return fmt.Sprintf("%d-%d", version, number) }

// ofVersion returns the builds of a version among the names of a directory, newest first.
func ofVersion(names []string, version uint32) []string {
	var numbers []uint32
	for _, name := range names {
		if v, n, ok := parseName(name); ok && v == version {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	out := make([]string, 0, len(numbers))
	for _, n := range numbers {
		out = append(out, buildName(version, n))
	}
	return out
}

// following names the build after the newest of a version.
func following(names []string, version uint32) string {
	if of := ofVersion(names, version); len(of) > 0 {
		_, n, _ := parseName(of[0])
		return buildName(version, n+1)
	}
	return buildName(version, 1)
}

// others returns the builds among the names of a directory but those kept.
func others(names []string, keep ...string) (out []string) {
	for _, name := range names {
		if _, _, ok := parseName(name); ok && !slices.Contains(keep, name) {
			out = append(out, name)
		}
	}
	return out
}
