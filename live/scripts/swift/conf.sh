# The configuration of a one-machine Swift, written into $DIR/etc. Sourced by swift.sh, never run.

write_conf() {
  swift_conf >"$DIR/etc/swift.conf"
  proxy_conf >"$DIR/etc/proxy-server.conf"
  local kind
  for kind in account container object; do
    inner_conf $kind >"$DIR/etc/$kind-server.conf"
    ring $kind >"$DIR/log/ring" 2>&1 || { tail "$DIR/log/ring" >&2; die "the ring of $kind could not be built"; }
  done
  runner >"$DIR/etc/run.py"
}

ring() (
  cd "$DIR/etc"
  local builder=$VENV/bin/swift-ring-builder
  "$builder" "$1.builder" create 4 1 0
  "$builder" "$1.builder" add --region 1 --zone 1 --ip $HOST --port "${PORT[$1]}" --device d1 --weight 1
  "$builder" "$1.builder" rebalance
)

swift_conf() {
  cat <<C
[swift-hash]
swift_hash_path_suffix = clinker
[storage-policy:0]
name = gold
default = yes
C
}

# Short time-outs, so that a stopped inner server is answered for soon. A quota is judged by what Swift remembers of a
# container, for a second here (for a minute by default; 0 would be for ever).
proxy_conf() {
  local filters='catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy container-quotas account-quotas slo dlo versioned_writes symlink'
  cat <<C
[DEFAULT]
bind_ip = $HOST
bind_port = ${PORT[proxy]}
workers = 0
user = $(id -un)
swift_dir = $DIR/etc
[pipeline:main]
pipeline = $filters proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
node_timeout = 3
recoverable_node_timeout = 3
conn_timeout = 1
recheck_account_existence = 1
recheck_container_existence = 1
error_suppression_limit = 1000000
[filter:cache]
use = egg:swift#memcache
memcache_servers = $HOST:${PORT[memcached]}
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_admin_admin = admin .admin .reseller_admin
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:account-quotas]
use = egg:swift#account_quotas
C
  local filter
  for filter in catch_errors gatekeeper healthcheck listing_formats bulk copy slo dlo versioned_writes symlink; do
    printf '[filter:%s]\nuse = egg:swift#%s\n' $filter $filter
  done
}

inner_conf() {
  cat <<C
[DEFAULT]
bind_ip = $HOST
bind_port = ${PORT[$1]}
workers = 0
user = $(id -un)
swift_dir = $DIR/etc
devices = $DIR/srv
mount_check = false
disable_fallocate = true
recon_cache_path = $DIR/cache
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
C
}

# The servers read policies and constraints from /etc/swift only: ours are loaded before a server's own code runs.
runner() {
  cat <<'C'
import runpy
import sys

folder = sys.argv[1]
from swift.common import utils

utils.set_swift_dir(folder)
from swift.common import constraints, storage_policy

constraints.reload_constraints()
storage_policy.reload_storage_policies()
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
C
}
