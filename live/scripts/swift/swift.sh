#!/usr/bin/env bash
# A real OpenStack Swift on loopback: proxy, one account, container and object server, one replica, v1 auth (tempauth),
# and S3 on the same port (s3api). Run by the command `servers`; by hand:
#
#   swift.sh install VENV
#       Fills VENV with Swift from PyPI, and installs memcached and its kin from Debian when they are missing (root only).
#   swift.sh serve VENV PROXY ACCOUNT CONTAINER OBJECT MEMCACHED
#       Starts the servers on these ports of 127.0.0.1 and says `ready`. Then obeys lines on stdin, each answered by one
#       line: `stop NAME`, `cont NAME` (SIGSTOP, SIGCONT), `kill NAME` (SIGKILL), `start NAME`.
#       At the end of stdin, thus also when whoever started it is gone, it ends all servers and removes what they stored.
set -euo pipefail
HOST=127.0.0.1
NAMES='memcached account container object proxy'
# All traffic is loopback.
export no_proxy='*' NO_PROXY='*'
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

note() { printf '# %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
# shellcheck source=conf.sh
. "$(dirname "$0")/conf.sh"

# debian_need BINARY PACKAGE: installs the package when the binary is missing, and keeps its service from starting.
debian_need() {
  command -v "$1" >/dev/null 2>&1 && return 0
  command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || die "no $1 on this machine: install the package $2 and try again"
  note "installing the package $2"
  local made= log policy=/usr/sbin/policy-rc.d
  log=$(mktemp)
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; made=1; fi
  local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  local failed=
  { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$2"; } >"$log" 2>&1 </dev/null || failed=1
  [ -z "$made" ] || rm -f $policy
  [ -z "$failed" ] || { tail -20 "$log" >&2; rm -f "$log"; die "apt-get could not install $2"; }
  rm -f "$log"
}

install_() {
  local venv=$1
  debian_need python3 python3
  debian_need memcached memcached
  debian_need curl curl
  [ -x "$venv/bin/swift-proxy-server" ] && return 0
  note "installing Swift into $venv"
  if [ ! -x "$venv/bin/pip" ]; then
    # Debian keeps the venv module in a package of its own.
    python3 -c 'import ensurepip' 2>/dev/null || debian_need no-such-binary python3-venv
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" >&2
  fi
  timeout --foreground 900 "$venv/bin/pip" install -q --disable-pip-version-check 'swift>=2.37,<3' keystonemiddleware >&2 </dev/null ||
    die "pip could not install Swift into $venv"
  [ -x "$venv/bin/swift-proxy-server" ] || die "$venv/bin/swift-proxy-server: not there after the installation"
}

pid_of() { cat "$DIR/pids/$1"; }
alive() { [ -e "$DIR/pids/$1" ] && kill -0 "$(pid_of "$1")" 2>/dev/null; }

# Each server in a session of its own, so that a signal to it reaches nobody else.
launch() {
  local name=$1
  local -a command=("$VENV/bin/python" "$DIR/etc/run.py" "$DIR/etc" "$VENV/bin/swift-$name-server" "$DIR/etc/$name-server.conf" -v)
  [ "$name" != memcached ] || command=(memcached -u "$(id -un)" -l $HOST -p "${PORT[memcached]}" -U 0 -m 32)
  setsid "${command[@]}" </dev/null >>"$DIR/log/$name" 2>&1 &
  echo $! >"$DIR/pids/$name"
}

answers() {
  if [ "$1" = proxy ]; then curl -sf -o /dev/null -m 2 "http://$HOST:${PORT[proxy]}/healthcheck"
  else (exec 3<>"/dev/tcp/$HOST/${PORT[$1]}") 2>/dev/null; fi
}

# Fails early when the server has died, e.g. because its port was taken.
await_up() {
  local name=$1 end=$((SECONDS + 60))
  until answers "$name"; do
    alive "$name" || { tail -20 "$DIR/log/$name" >&2; return 1; }
    [ $SECONDS -lt $end ] || { tail -20 "$DIR/log/$name" >&2; return 1; }
    sleep 0.1
  done
}

signal() { kill "-$2" -- "-$(pid_of "$1")"; }

# Every server ends: asked first, killed after five seconds. A stopped one hears nothing until it goes on.
end_all() {
  trap '' INT TERM HUP
  local name end=$((SECONDS + 5))
  for name in proxy object container account memcached; do
    [ -e "$DIR/pids/$name" ] || continue
    signal "$name" TERM 2>/dev/null || true
    signal "$name" CONT 2>/dev/null || true
  done
  for name in $NAMES; do
    [ -e "$DIR/pids/$name" ] || continue
    while kill -0 -- "-$(pid_of "$name")" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.1; done
    signal "$name" KILL 2>/dev/null || true
  done
  rm -rf "$DIR"
}

obey() {
  local verb=$1 name=$2
  case " $NAMES " in *" $name "*) ;; *) echo "failed: no server named $name"; return ;; esac
  case $verb in
  stop) signal "$name" STOP ;;
  cont) signal "$name" CONT ;;
  kill)
    if alive "$name"; then
      signal "$name" KILL
      wait "$(pid_of "$name")" 2>/dev/null || true
    fi ;;
  start) alive "$name" || { launch "$name" && await_up "$name"; } ;;
  *) echo "failed: no command $verb"; return ;;
  esac && echo "done $verb $name" || echo "failed: $verb $name"
}

serve() {
  VENV=$1
  declare -gA PORT=([proxy]=$2 [account]=$3 [container]=$4 [object]=$5 [memcached]=$6)
  DIR=$(mktemp -d "${TMPDIR:-/tmp}/clinker-swift.XXXXXX")
  trap end_all EXIT
  trap 'exit 1' INT TERM HUP
  mkdir -p "$DIR/srv/d1" "$DIR/etc" "$DIR/cache" "$DIR/log" "$DIR/pids"
  python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.t", b"1")' "$DIR/srv" 2>/dev/null ||
    die "$DIR: the file system has no user attributes, which Swift needs; set TMPDIR to a folder on another one"
  local name
  for name in $NAMES; do ! answers "$name" || die "port ${PORT[$name]} is taken"; done
  write_conf
  for name in $NAMES; do launch "$name"; done
  for name in $NAMES; do await_up "$name" || die "swift's $name server did not come up"; done
  echo ready
  local verb rest
  while read -r verb rest; do obey "$verb" "$rest"; done
}

case "${1:-} $#" in
'install 2') install_ "$2" ;;
'serve 7') shift; serve "$@" ;;
*) die "usage: $0 install VENV | serve VENV PROXY ACCOUNT CONTAINER OBJECT MEMCACHED" ;;
esac
