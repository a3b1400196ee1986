#!/bin/sh
# A gate: can the server's own software live with the release of its base? Where settings.json names the newest release
# that it can live with, a newer one fails.
set -eu

[ -f /run/stampmill/settings.json ] || exit 0
newest=$(sed -n 's/.*"newest": *"\([0-9]*\)".*/\1/p' /run/stampmill/settings.json)
[ -n "$newest" ] || exit 0
release=$(sed -n 's/^image_file=.*\.\([0-9]\{8\}\)\..*/\1/p' /etc/image-id)
[ "$release" -le "$newest" ]
