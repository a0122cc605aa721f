#!/bin/sh
# Builds the package twice from the commit that is checked out, under circumstances that must not matter: other
# places, another home, umask, locale, time zone and hour. The packages must be the same, byte by byte.
#
# usage: tests/debian/reproduce.sh [PACKAGE]        PACKAGE: one that was built before; it takes the place of the first
set -eu
cd "$(dirname "$0")/../.."
first=${1:+$(realpath "$1")}
tests/setup.sh git binutils

work=$PWD/target/reproduce
rm -rf "$work"
mkdir -p "$work"
cargo=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
commit=$(git rev-parse HEAD)
# What is downloaded or built once and no part of the package may come from here.
RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
export RUSTUP_HOME XDG_CACHE_HOME

# build PLACE UMASK VARIABLE=VALUE...: prints the package.
build() {
  place=$work/$1
  mask=$2
  shift 2
  mkdir -p "$place/home/cargo/registry"
  # Crates as they were downloaded: they are unpacked anew, elsewhere. A link would lead the compiler to the same place.
  for part in config config.toml registry/index registry/cache; do
    if [ -e "$cargo/$part" ]; then cp -R "$cargo/$part" "$place/home/cargo/$part"; fi
  done
  (
    umask "$mask"
    git clone --quiet --no-hardlinks . "$place/source" >&2
    cd "$place/source"
    git checkout --quiet --detach "$commit"
    env HOME="$place/home" CARGO_HOME="$place/home/cargo" "$@" packaging/deb.sh >"$place/path"
  )
  echo "$place/source/$(cat "$place/path")"
}

if [ -z "$first" ]; then
  first=$(build one 022 TZ=UTC LC_ALL=C.UTF-8)
fi
second=$(build another-place-with-a-longer-name 077 TZ=Pacific/Kiritimati LC_ALL=C)
if cmp "$first" "$second"; then
  sha256sum "$second" | sed 's/ .*/  the same from both builds/'
  rm -rf "$work"
  exit
fi
echo "reproduce: the packages differ; they stay in $work. What is in them:" >&2
for package in "$first" "$second"; do
  dpkg-deb --fsys-tarfile "$package" | tar -t -v --full-time -f - >"$work/list"
  dpkg-deb --raw-extract "$package" "$work/tree"
  (cd "$work/tree" && find . -type f -exec sha256sum {} + | LC_ALL=C sort -k 2) >>"$work/list"
  mv "$work/list" "$work/list-$([ "$package" = "$first" ] && echo one || echo two)"
  rm -rf "$work/tree"
done
diff -u "$work/list-one" "$work/list-two" >&2 || true
exit 1
