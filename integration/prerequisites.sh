#!/bin/sh
# Says what the local stack needs and this machine lacks: a line for each, with
# the way to get it. Silent when nothing is missing.

root=$(cd "$(dirname "$0")/.." && pwd) || exit
missing=0

lacks() {
	echo "missing: $*" >&2
	missing=1
}

# at_least HAVE WANT compares versions such as 1.26.0, number by number.
at_least() {
	awk -v have="$1" -v want="$2" 'BEGIN {
		split(have, h, "."); n = split(want, w, ".")
		for (i = 1; i <= n; i++) if (h[i] + 0 != w[i] + 0) exit h[i] + 0 < w[i] + 0
	}'
}

go=$(sed -n 's/^go //p' "$root/go.mod")
have=$(cd "$root" && go env GOVERSION 2>/dev/null | sed 's/^go//')
if ! command -v go >/dev/null; then
	lacks "Go $go or newer: https://go.dev/doc/install"
elif ! at_least "${have:-0}" "$go"; then
	lacks "Go $go or newer (found $(go version | cut -d ' ' -f 3)): https://go.dev/doc/install"
fi

node=20
have=$(node --version 2>/dev/null | sed 's/^v//')
if ! at_least "${have:-0}" "$node"; then
	lacks "Node.js $node or newer (found ${have:-none}): https://nodejs.org/en/download, or apt install nodejs npm"
fi
if ! npm --version >/dev/null 2>&1; then
	lacks "npm: it comes with Node.js from https://nodejs.org/en/download, or apt install npm"
fi

python=3.11 # pycparser, below MiniStack, needs it
have=$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null)
if ! at_least "${have:-0}" "$python"; then
	lacks "Python $python or newer as python3 (found ${have:-none}): https://www.python.org/downloads, or apt install python3 python3-venv"
elif ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
	lacks "Python's venv and ensurepip (Debian and Ubuntu split them off): apt install python3-venv"
fi

exit $missing
