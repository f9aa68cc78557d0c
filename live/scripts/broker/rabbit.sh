#!/usr/bin/env bash
# A real RabbitMQ on loopback. Run by the command `broker`; by hand:
#
#   rabbit.sh install VENV
#       Installs RabbitMQ from Debian when it is missing (root only), and fills VENV with oslo.messaging from PyPI.
#   rabbit.sh serve AMQP DISTRIBUTION EPMD USER PASSWORD
#       Starts the broker on these ports of 127.0.0.1 with one user, and says `ready`. At the end of stdin, thus also when
#       whoever started it is gone, it ends the broker and removes what it stored.
set -euo pipefail
HOST=127.0.0.1
BIN=/usr/lib/rabbitmq/bin
# All traffic is loopback.
export no_proxy='*' NO_PROXY='*'

note() { printf '# %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Installs the packages, and keeps their services from starting.
debian_install() {
  command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || die "install the packages $* and try again"
  note "installing $*"
  local made= log policy=/usr/sbin/policy-rc.d failed=
  log=$(mktemp)
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; made=1; fi
  local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null || failed=1
  [ -z "$made" ] || rm -f $policy
  [ -z "$failed" ] || { tail -20 "$log" >&2; rm -f "$log"; die "apt-get could not install $*"; }
  rm -f "$log"
}

install_() {
  local venv=$1
  [ -x $BIN/rabbitmq-server ] || debian_install rabbitmq-server
  "$venv/bin/python" -c 'import oslo_messaging' 2>/dev/null && return 0
  note "installing oslo.messaging into $venv"
  if [ ! -x "$venv/bin/pip" ]; then
    # Debian keeps the venv module in a package of its own.
    python3 -c 'import ensurepip' 2>/dev/null || debian_install python3-venv
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" >&2
  fi
  timeout --foreground 900 "$venv/bin/pip" install -q --disable-pip-version-check 'oslo.messaging>=17,<19' >&2 </dev/null ||
    die "pip could not install oslo.messaging into $venv"
}

listens() { (exec 3<>"/dev/tcp/$HOST/$1") 2>/dev/null; }

# Both servers end: asked first, killed after ten seconds.
end_all() {
  trap '' INT TERM HUP
  local pid end=$((SECONDS + 10))
  for pid in ${BROKER:-} ${EPMD:-}; do
    kill -TERM -- "-$pid" 2>/dev/null || true
    while kill -0 -- "-$pid" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.1; done
    kill -KILL -- "-$pid" 2>/dev/null || true
  done
  rm -rf "$DIR"
}

configure() {
  printf '[].' >"$DIR/plugins"
  : >"$DIR/env.conf"
  mkdir -p "$DIR/home" "$DIR/mnesia" "$DIR/log"
  od -An -N20 -tx1 /dev/urandom | tr -d ' \n' >"$DIR/home/.erlang.cookie"
  chmod 600 "$DIR/home/.erlang.cookie"
  cat >"$DIR/rabbitmq.conf" <<CONF
listeners.tcp.1 = $HOST:$1
default_user = $4
default_pass = $5
log.console = true
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
CONF
  export HOME=$DIR/home ERL_EPMD_PORT=$3 ERL_EPMD_ADDRESS=$HOST
  export RABBITMQ_NODENAME=clinker$1@localhost RABBITMQ_NODE_IP_ADDRESS=$HOST RABBITMQ_NODE_PORT=$1 RABBITMQ_DIST_PORT=$2
  export RABBITMQ_MNESIA_BASE=$DIR/mnesia RABBITMQ_LOG_BASE=$DIR/log RABBITMQ_PID_FILE=$DIR/node.pid
  export RABBITMQ_ENABLED_PLUGINS_FILE=$DIR/plugins RABBITMQ_CONFIG_FILE=$DIR/rabbitmq RABBITMQ_CONF_ENV_FILE=$DIR/env.conf
  export RABBITMQ_SERVER_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 1:1'
}

serve() {
  DIR=$(mktemp -d "${TMPDIR:-/tmp}/clinker-rabbit.XXXXXX")
  trap end_all EXIT
  trap 'exit 1' INT TERM HUP
  configure "$@"
  local port
  for port in "$1" "$2" "$3"; do ! listens "$port" || die "port $port is taken"; done
  # In sessions of their own, so that a signal to one reaches nobody else.
  setsid epmd -address $HOST -port "$3" </dev/null >>"$DIR/log/epmd" 2>&1 &
  EPMD=$!
  setsid $BIN/rabbitmq-server </dev/null >>"$DIR/log/broker" 2>&1 &
  BROKER=$!
  local end=$((SECONDS + 120))
  until listens "$1"; do
    kill -0 "$BROKER" 2>/dev/null && [ $SECONDS -lt $end ] || { tail -20 "$DIR/log/broker" >&2; die "RabbitMQ did not come up"; }
    sleep 0.1
  done
  # The port opens before the user is there.
  until grep -q 'Server startup complete' "$DIR/log/broker"; do
    kill -0 "$BROKER" 2>/dev/null && [ $SECONDS -lt $end ] || { tail -20 "$DIR/log/broker" >&2; die "RabbitMQ did not come up"; }
    sleep 0.1
  done
  echo "ready $(sed -n 's/.*Starting RabbitMQ \([0-9.]*\).*/\1/p' "$DIR/log/broker" | head -1)"
  cat >/dev/null
}

case "${1:-} $#" in
'install 2') install_ "$2" ;;
'serve 6') shift; serve "$@" ;;
*) die "usage: $0 install VENV | serve AMQP DISTRIBUTION EPMD USER PASSWORD" ;;
esac
