#!/bin/sh
# Fetches the version of uPlot that the report of `leda simulate -o html` embeds, and checks it against what
# the registry published. For another version: change both lines, run this, look at the report, run the tests.
set -eu
version=1.6.32
integrity='sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=='

folder=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "uplot@$version" >/dev/null
got=sha512-$(openssl dgst -sha512 -binary "uplot-$version.tgz" | openssl base64 -A)
if [ "$got" != "$integrity" ]; then
	echo "uplot-$version.tgz is not what was published: got $got, want $integrity" >&2
	exit 1
fi
tar xzf "uplot-$version.tgz"
cp package/LICENSE package/dist/uPlot.iife.min.js package/dist/uPlot.min.css "$folder/"
echo "uPlot $version is in $folder"
