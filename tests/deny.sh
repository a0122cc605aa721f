#!/bin/sh
# Licences, bans and sources of the dependencies; advisories where their database can be reached.
#
# cargo-deny is built once, outside target/, and kept: ${XDG_CACHE_HOME:-~/.cache}/outgate-tools.
# It runs for a second, so it is built for a short build, not for speed.
set -eu
cd "$(dirname "$0")/.."

version=0.20.2
tools=${XDG_CACHE_HOME:-$HOME/.cache}/outgate-tools/cargo-deny-$version
deny=$tools/bin/cargo-deny

if ! [ -x "$deny" ]; then
  echo "deny: building cargo-deny $version once, into $tools"
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=none \
    cargo install --quiet --locked --version "$version" --root "$tools" --target-dir "$tools/build" cargo-deny
  rm -rf "$tools/build"
fi

"$deny" --locked check --hide-inclusion-graph licenses bans sources

# Without the database there is nothing to compare with: that is said, and is no failure of ours.
# An advisory that is found is one.
if "$deny" --locked fetch db >/dev/null 2>&1; then
  "$deny" --locked check --hide-inclusion-graph --disable-fetch advisories
else
  echo "deny: the advisory database cannot be reached from here; advisories were NOT checked"
fi
