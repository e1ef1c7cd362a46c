#!/bin/sh
# debian.sh FILE  make an archive of a small Debian 12 with Python 3.11, pip, venv and systemd, unless it is
# there (as root).
set -eu
mkdir -p "$(dirname "$1")"
exec 9>"$1.lock"; flock 9
[ ! -e "$1" ] || exit 0
new=$(mktemp -d "$1.XXXXXX"); trap 'rm -rf "$new"' EXIT
debootstrap --variant=minbase --include=python3-pip,python3-venv,systemd-sysv bookworm "$new/root" >"$new/log" 2>&1 || {
  tail -20 "$new/log" "$new/root/debootstrap/debootstrap.log" >&2; exit 1
}
tar -C "$new/root" -cf "$new/archive" --exclude='./dev/*' --exclude='./var/lib/apt/lists/*' \
  --exclude='./var/cache/apt/*' .
mv "$new/archive" "$1"
