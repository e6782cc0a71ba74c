#!/bin/sh
# Puts Debian's prometheus and promtool into a folder, by default .tools/prometheus, without installing them.
# Needs apt, and the network unless they are there already.
set -eu

folder=${1:-.tools/prometheus}
if [ -x "$folder/usr/bin/promtool" ] && [ -x "$folder/usr/bin/prometheus" ]; then
    exit 0
fi
mkdir -p "$(dirname "$folder")"
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
chmod 755 "$download"
if ! (cd "$download" && apt-get -qq download prometheus); then
    # The lists of packages may be old, or not there at all; only root may fetch them.
    apt-get -qq update
    (cd "$download" && apt-get -qq download prometheus)
fi
rm -rf "$folder"
dpkg -x "$download"/prometheus_*.deb "$folder"
"$folder/usr/bin/promtool" --version
