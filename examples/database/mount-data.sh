#!/bin/sh
# Puts a file system on the data volume, unless it has one, and mounts it. Nitro instances give devices other names than
# the spec does; the link /dev/sdf leads to the right one.
set -eu

device=${1:-/dev/sdf}
if ! blkid "$device" >/dev/null; then
    mkfs.xfs "$device"
fi
mkdir -p /data
mount "$device" /data
