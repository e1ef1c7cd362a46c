#!/bin/sh
# compose.sh FOLDER  put Docker Compose 2 of Debian 13 into FOLDER as a plugin of Docker, unless it is there.
# Debian 12 has only the first major version.
set -eu
plugins="$1/cli-plugins"
mkdir -p "$1"
exec 9>"$1/lock"; flock 9
[ ! -e "$plugins/docker-compose" ] || exit 0
new=$(mktemp -d); trap 'rm -rf "$new"' EXIT
mkdir -p "$new/lists/partial" "$new/cache"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main" \
  >"$new/sources.list"
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$new/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State::Lists="$new/lists" -o Dir::Cache="$new/cache" -o APT::Sandbox::User=root "$@"
}
apt update
(cd "$new" && apt download docker-compose && dpkg -x docker-compose_*.deb root)
mkdir -p "$plugins"
mv "$new/root/usr/libexec/docker/cli-plugins/docker-compose" "$plugins/"
