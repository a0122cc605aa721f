#!/bin/sh
# Licences, bans and sources of the dependencies; advisories where their database can be reached.
set -eu
cd "$(dirname "$0")/.."

deny=$(tests/tool.sh cargo-deny 0.20.2)/cargo-deny

"$deny" --locked check --hide-inclusion-graph licenses bans sources

# Without the database there is nothing to compare with: that is said, and is no failure of ours.
# An advisory that is found is one.
if "$deny" --locked fetch db >/dev/null 2>&1; then
  "$deny" --locked check --hide-inclusion-graph --disable-fetch advisories
else
  echo "deny: the advisory database cannot be reached from here; advisories were NOT checked"
fi
