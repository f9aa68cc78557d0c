#!/bin/sh
# Makes the two states of a small ext4 file system that tests/image.rs backs up: before.img.zst and after.img.zst.
# Needs mkfs.ext4 and debugfs (e2fsprogs 1.46 or later) and zstd; no root.
# The bytes differ from run to run (change times of the files copied in), what they stand for does not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export E2FSPROGS_FAKE_TIME=1803600000 TZ=UTC

# Text compresses, the digests do not, and the holes between the two stay zero.
noise() { seq "$1" "$2" | while read -r n; do printf '%s' "$n" | sha256sum; done | cut -c 1-64 | xxd -r -p; }
mkdir -p "$work/tree/etc" "$work/tree/var/log" "$work/tree/empty"
seq 1 20000 > "$work/tree/var/log/messages"
noise 1 1500 > "$work/tree/var/random"
echo "hello" > "$work/tree/etc/motd"
ln -s ../etc/motd "$work/tree/var/link"
find "$work/tree" -exec touch -h -d @1803600000 {} +

truncate -s 4M "$work/image"
mkfs.ext4 -q -F -b 1024 -O ^has_journal -E hash_seed=00000000-0000-4000-8000-000000000001,root_owner=0:0 \
    -U 00000000-0000-4000-8000-000000000002 -L clinker -d "$work/tree" "$work/image"
zstd -q -19 -f "$work/image" -o "$here/before.img.zst"

noise 5000 5500 > "$work/new"
echo "goodbye" > "$work/motd"
touch -d @1803600000 "$work/new" "$work/motd"
debugfs -w -f /dev/stdin "$work/image" > /dev/null 2>&1 <<COMMANDS
rm /etc/motd
cd /etc
write $work/motd motd
cd /var
write $work/new new
rm /var/log/messages
cd /
mkdir home
COMMANDS
e2fsck -fn "$work/image" > /dev/null
zstd -q -19 -f "$work/image" -o "$here/after.img.zst"
