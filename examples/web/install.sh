#!/bin/sh
# Sets the web server up. The spec's vars are in the environment.
set -eu

mkdir -p /usr/share/nginx/html
echo "$site" > /usr/share/nginx/html/site.txt
systemctl enable --now nginx
