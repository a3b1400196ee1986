#!/bin/sh
# What is deliberately not baked: it runs once, at each server's first boot.
set -eu

mkdir -p /data /var/lib/stampmill-example
if [ -b /dev/sdf ]; then
    /usr/local/sbin/mount-data /dev/sdf
fi
mkdir -p /data/postgresql
hostname > /var/lib/stampmill-example/started
