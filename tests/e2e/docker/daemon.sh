#!/bin/sh
# engine.sh [start|stop]  install, start and wait for a Docker engine (Debian 12, as root). Idempotent.
# It comes with a static busybox and debootstrap for images that are made here, and a registry.
set -eu
export DOCKER_HOST=unix:///var/run/docker.sock
PID=/var/run/docker.pid LOG=${DOCKERD_LOG:-/var/log/dockerd.log}
# exe, not comm or kill -0: a killed daemon may linger as a zombie that still answers to both
up() { [ -s $PID ] && case $(readlink "/proc/$(cat $PID)/exe") in */dockerd) ;; *) false ;; esac; }
# not `docker info`: that waits for each container, one that is stuck too
answers() { timeout 10 docker version >/dev/null 2>&1; }
exec 9>/var/run/engine.lock; flock 9
case ${1:-start} in
start)
  for tool in dockerd docker-registry busybox debootstrap; do command -v $tool >/dev/null || missing=yes; done
  [ -z "${missing-}" ] || {
    apt-get update -qq
    # None of what is installed is to start by itself.
    [ -e /usr/sbin/policy-rc.d ] || { own=yes; printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      docker.io docker-registry busybox-static debootstrap >/dev/null
    [ -z "${own-}" ] || rm /usr/sbin/policy-rc.d
  }
  answers && exit 0
  up || {
    rm -f $PID /var/run/docker/containerd/containerd.pid    # stale after a crash
    setsid dockerd --ip 127.0.0.1 >"$LOG" 2>&1 </dev/null 9>&- &
  }
  i=0
  until answers; do
    i=$((i+1)); [ $i -le 300 ] || { tail -20 "$LOG" >&2; exit 1; }
    sleep 0.1
  done ;;
stop)
  up || exit 0
  kill "$(cat $PID)"; while up; do sleep 0.1; done ;;
esac
