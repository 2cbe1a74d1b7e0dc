package scaling

import "strings"

// The names that Kubernetes allows become parts of the API server's paths, so nothing else may be one: a name with a
// slash would lead elsewhere.

// isLabel says whether text may name a namespace (RFC 1123): a-z, 0-9 and -, at most 63, no - at either end.
func isLabel(text string) bool {
	return text != "" && len(text) <= 63 &&
		only(text, "abcdefghijklmnopqrstuvwxyz0123456789-") && text[0] != '-' && text[len(text)-1] != '-'
}

// isObjectName says whether text may name an object: labels with dots between, at most 253.
func isObjectName(text string) bool {
	if len(text) > 253 {
		return false
	}
	for part := range strings.SplitSeq(text, ".") {
		if part == "" || !only(part, "abcdefghijklmnopqrstuvwxyz0123456789-") || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
	}
	return true
}

// isKind says whether text may be a kind: letters and digits.
func isKind(text string) bool {
	return text != "" && only(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789")
}

// isAPIVersion says whether text may be a version, or a group and a version.
func isAPIVersion(text string) bool {
	group, version, found := strings.Cut(text, "/")
	if !found {
		return isLabel(text)
	}
	return isObjectName(group) && isLabel(version)
}

func only(text, of string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune(of, r) }) < 0
}
