#!/usr/bin/env bash
# Makes sure that the browser tests find a Chromium: one that is there, or Debian's where this may be installed.
set -euo pipefail
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null && exit 0
done
if [ "${RLAIF_NO_BROWSER:-}" = 1 ]; then
    echo "RLAIF_NO_BROWSER=1: the browser tests will be skipped" >&2
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing Chromium for the browser tests"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
else
    echo "no Chromium for the browser tests: install one (Debian: sudo apt-get install chromium)," >&2
    echo "or set RLAIF_NO_BROWSER=1 to leave them out" >&2
    exit 1
fi
