#!/bin/sh
# Runs once, at each server's first boot: the server shows its own name and settings.
set -eu

hostname > /usr/share/nginx/html/name.txt
cp /run/stampmill/settings.json /usr/share/nginx/html/settings.json
