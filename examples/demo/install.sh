#!/bin/sh
# Edit this script, bake again, and see the verify in bake.yaml notice.
set -eu

dnf install -y nginx
echo "$greeting" > /usr/share/nginx/html/greeting.txt
systemctl enable --now nginx
