#!/bin/sh
# One page of the book in a room of its own; called by book.sh, which says in the environment what rooms are made of.
#
# usage: tests/debian/book_page.sh PAGE
set -eu
. tests/debian/root.sh
page=$1
book=tests/debian/book.py
began=$(date +%s)

# Whatever stands in the page's comment of that name.
setting() { python3 $book setting "$page" "$1"; }

furnish() {
  mkdir -p "$room/opt/book" "$room/run/systemd/system"
  cp $book "$page" target/debug/examples/nameserver "$room/opt/book/"
  mv "$room/usr/bin/systemctl" "$room/usr/bin/systemctl.systemd"
  cp tests/debian/systemctl "$room/usr/bin/systemctl"
  # In rooms, packages start what they bring.
  rm -f "$room/usr/sbin/policy-rc.d"
  cp "$BOOK_DEB" "$room/root/$BOOK_NAME"
  if setting zone >"$room/opt/book/zone"; then
    inside sh -c 'exec /opt/book/nameserver /opt/book/zone 127.0.0.1:53 >/opt/book/dns 2>&1 &'
    room_wait 'grep -q ^listening /opt/book/dns'
  fi
  if [ "$root" = "$BOOK_INSTALLED" ]; then inside systemctl start outgate; fi
  packages=$(setting packages | tr , ' ' || true)
  if [ -n "$packages" ]; then
    # shellcheck disable=SC2086 # a list of packages
    inside apt-get -qq install $packages >"$room_place/apt" 2>&1 </dev/null || {
      cat "$room_place/apt" >&2
      root_fail "$page: could not install its packages"
    }
  fi
  if wiring=$(setting wiring); then inside outgate postfix config --wiring "$wiring" --apply --yes >/dev/null; fi
  inside systemctl start postfix
}

if reason=$(setting none); then
  echo "  $page: none, $reason"
  exit 0
fi
root=$BOOK_INSTALLED
if setting bare >/dev/null; then root=$BOOK_BARE; fi
room_open
furnish
# shellcheck disable=SC2086 # a word or nothing
if count=$(inside python3 /opt/book/book.py run "/opt/book/${page##*/}" $BOOK_ALOUD 2>"$room_place/said"); then
  [ -z "$BOOK_ALOUD" ] || cat "$room_place/said"
  echo "  $page: $count commands, $(($(date +%s) - began)) s"
else
  printf 'book: %s: %s\n' "$page" "$(cat "$room_place/said")" >&2
  exit 1
fi
