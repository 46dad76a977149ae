#!/bin/bash
# test.sh: installs what is missing, builds muster into build/, runs all tests.
#
# Works on a fresh Debian 12 or newer, as root or with sudo, from any folder.
# Further arguments go to ctest: scripts/test.sh -R lua
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

scripts/deps.sh
cmake --preset release
cmake --build --preset release
ctest --preset release --no-tests=error --output-on-failure -j2 "$@"
