#!/bin/sh
# prometheus.sh FOLDER  have Debian's promtool and prometheus in FOLDER/usr/bin, unless they are there (as root).
# Installing the package would start the service.
set -eu
mkdir -p "$1"
exec 9>"$1/lock"; flock 9
[ ! -x "$1/usr/bin/prometheus" ] || exit 0
new=$(mktemp -d "$1/new.XXXXXX"); trap 'rm -rf "$new"' EXIT
cd "$new"
# as root: apt's own user may not write here
fetch() { apt-get download -qq -o APT::Sandbox::User=root prometheus; }
fetch 2>/dev/null || { apt-get update -qq; fetch; }
# tar instead of `dpkg -x`, to unpack no more than the two programs
dpkg --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/prometheus ./usr/bin/promtool
mkdir -p "$1/usr/bin"
mv usr/bin/promtool usr/bin/prometheus "$1/usr/bin/"
