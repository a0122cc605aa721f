#!/bin/sh
# A tool of cargo's that tests or releases need, in the version they were tried with: built once, outside target/,
# and kept below ${XDG_CACHE_HOME:-~/.cache}/outgate-tools. Prints the directory of its programs.
#
# usage: tests/tool.sh CRATE VERSION [OPTION of cargo install ...]
set -eu

crate=$1
version=$2
shift 2
tools=${XDG_CACHE_HOME:-$HOME/.cache}/outgate-tools/$crate-$version
# A build that was broken off leaves nothing that looks whole: the programs come last.
if ! ls "$tools"/bin/* >/dev/null 2>&1; then
  echo "tool: building $crate $version once, into $tools" >&2
  # It runs for a moment, so it is built for a short build, not for speed; and as this host builds for itself.
  env -u RUSTFLAGS -u OUTGATE_COMMIT CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=none \
    cargo install --quiet --locked --version "$version" --root "$tools" --target-dir "$tools/build" "$@" "$crate" >&2
  rm -rf "$tools/build"
fi
echo "$tools/bin"
