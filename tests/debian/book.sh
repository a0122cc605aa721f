#!/bin/sh
# Does what the book shows: every page with commands, in a throw-away Debian of its own (CONTRIBUTING.md says how pages are
# written). As root.
#
# usage: tests/debian/book.sh [-v] [PAGE ...]  all of them if none is given; -v tells what each command says
#        OUTGATE_DEB=FILE                      the package to install, instead of building it
set -eu
cd "$(dirname "$0")/../.."
. tests/debian/root.sh

aloud=
if [ "${1:-}" = -v ]; then
  aloud=aloud
  shift
fi
tests/setup.sh python3
book=tests/debian/book.py
python3 tests/debian/book_test.py
pages="README.md docs/src/tutorial.md $(echo docs/src/how-to/*.md)"
# shellcheck disable=SC2086 # a list of pages
[ $# -gt 0 ] || set -- $pages
# shellcheck disable=SC2086
needs=$(python3 $book needs "$@" $pages)
deb=${OUTGATE_DEB:-$(packaging/deb.sh)}
cargo build --quiet --locked --example nameserver

# The bare Debian, with the packages that pages install lying ready as on a mirror: rooms have no network.
stock() {
  root_make bookworm
  bare=$root
  root=$bare-$({ printf '%s' "$needs"; cat tests/debian/book.sh; } | cksum | cut -d ' ' -f 1)
  exec 9>"$root_store/lock"
  flock 9
  if ! [ -d "$root" ]; then
    echo "book: fetching the packages that pages install, once a week" >&2
    rm -rf "$bare"-*
    cp -a "$bare" "$root.partial"
    cp /etc/resolv.conf "$root.partial/etc/resolv.conf"
    # shellcheck disable=SC2086 # a list of packages
    chrooted "$root.partial" sh -ec '
      apt-get -qq update
      apt-get -qq -y --download-only --no-install-recommends -o APT::Keep-Downloaded-Packages=true install adduser "$@"
      # Rooms have no terminal to ask at, and a log without a syslog daemon.
      printf "APT::Install-Recommends false;\nAPT::Get::Assume-Yes true;\nDpkg::Use-Pty false;\n" >/etc/apt/apt.conf.d/90room
      echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/room
      useradd --create-home --shell /bin/bash ann
      postconf -e maillog_file=/var/log/mail.log
      newaliases' sh $needs >"$root.log" 2>&1 || {
      tail -20 "$root.log" >&2
      root_fail "could not fetch the packages that pages install"
    }
    mv "$root.partial" "$root"
  fi
  exec 9>&-
}

chrooted() {
  place=$1
  shift
  chroot "$place" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# The same with outgate installed, for the pages that begin with that: a layer, made anew each time, as the package is another
# one. root.sh clears away what bears such a name and has no living owner.
installed() {
  room_open
  cp "$deb" "$room/root/$name"
  inside apt-get -qq install "/root/$name" >"$room_place/apt" 2>&1 </dev/null || {
    cat "$room_place/apt" >&2
    root_fail "could not install the package"
  }
  with=$root_store/room.installed.$$
  mv "$room_place/upper" "$with"
  room_close
  trap 'rm -rf --one-file-system "$with"' EXIT
}

# shellcheck disable=SC2016 # dpkg's own words
name=$(dpkg-deb --show --showformat '${Package}_${Version}_${Architecture}.deb' "$deb")
stock
installed
export BOOK_BARE="$root" BOOK_INSTALLED="$with:$root" BOOK_DEB="$deb" BOOK_NAME="$name" BOOK_ALOUD="$aloud"
echo "book: pages whose commands are run:"
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 tests/debian/book_page.sh || root_fail "these pages do not show what happens: see above"
