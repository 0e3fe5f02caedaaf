#!/bin/sh
# Make sure that there is a Chromium for the browser tests: Debian's, when we may install it.
set -eu
for name in "${FOOTFALL_TEST_CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium for the browser tests"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
    exit 0
fi
echo "the browser tests need Chromium: install it (Debian: apt-get install chromium), or name one in FOOTFALL_TEST_CHROMIUM"
exit 1
