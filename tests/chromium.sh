#!/bin/sh
# Make sure that there is a Chromium for the browser tests: Debian's, when we may install it, and its headless shell, with
# which they take half the time.
set -eu
has() {
    for name in "$@"; do
        if [ -n "$name" ] && command -v "$name" >/dev/null; then return 0; fi
    done
    return 1
}
install() {
    echo "installing $1 for the browser tests"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null
}
may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

if ! has "${FOOTFALL_TEST_CHROMIUM:-}" chromium chromium-browser google-chrome; then
    if ! may_install; then
        echo "the browser tests need Chromium: install it (Debian: apt-get install chromium), or name one in FOOTFALL_TEST_CHROMIUM"
        exit 1
    fi
    install chromium
fi
if ! has "${FOOTFALL_TEST_CHROMIUM:-}" chromium-headless-shell && has chromium && may_install; then
    install chromium-headless-shell || echo "there is no chromium-headless-shell here; the browser tests do without, slower"
fi
