// Limits of single routes: values by prefix of the path.

package config

import (
	"bytes"
	"strconv"
)

// PathLimit is a value for the paths below a prefix.
type PathLimit struct {
	Prefix []byte
	Value  uint64
}

// ParsePaths parses lines, each "VALUE PREFIX". Other lines are ignored.
func ParsePaths(lines []byte) (all []PathLimit) {
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		number, prefix, _ := bytes.Cut(line, []byte(" "))
		if value, err := strconv.ParseUint(string(number), 10, 64); err == nil && len(prefix) > 0 {
			all = append(all, PathLimit{prefix, value})
		}
	}
	return all
}

// FindPath is the number + 1 of the longest prefix in all that the decoded path is below, or equal to; 0: none.
func FindPath(all []PathLimit, path []byte) (at int) {
	longest := -1
	for i := range all {
		if p := all[i].Prefix; len(p) > longest && isBelow(path, p) {
			at, longest = i+1, len(p)
		}
	}
	return at
}

func isBelow(path, prefix []byte) bool {
	rest, ok := bytes.CutPrefix(path, prefix)
	return ok && (len(rest) == 0 || rest[0] == '/' || prefix[len(prefix)-1] == '/')
}
