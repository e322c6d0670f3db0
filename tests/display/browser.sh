#!/usr/bin/env bash
# Installs the tools that the tests of pages need besides Python: Chromium, and axe-core for
# accessibility checks. If they are missing, those tests are skipped with a reason.
#
#     IMAGESESSION_NODE_TOOLS=FOLDER bash tests/display/browser.sh
#
# FOLDER keeps axe-core, outside of the repository; the tests find it by the same variable.
set -euo pipefail
tools=${IMAGESESSION_NODE_TOOLS:?name a folder outside of the repository}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if ! command -v chromium >/dev/null; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
fi
if [ ! -f "$tools/node_modules/axe-core/axe.min.js" ]; then
    mkdir -p "$tools"
    npm install --silent --no-audit --no-fund --prefix "$tools" axe-core@4
fi
chromium --version
