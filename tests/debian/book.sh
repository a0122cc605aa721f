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
name=$(dpkg-deb --show --showformat '${Package}_${Version}_${Architecture}.deb' "$deb")
cargo build --quiet --locked --example nameserver

# The bare Debian with the packages that pages install lying ready, as on a mirror: rooms have no network.
root_make bookworm
bare=$root
root=$bare-$(printf '%s' "$needs" | cksum | cut -d ' ' -f 1)
exec 9>"$root_store/lock"
flock 9
if ! [ -d "$root" ]; then
  echo "book: fetching the packages that pages install, once a week" >&2
  rm -rf "$root.partial"
  cp -a "$bare" "$root.partial"
  cp /etc/resolv.conf "$root.partial/etc/resolv.conf"
  fetch() {
    # shellcheck disable=SC2086 # a list of packages
    chroot "$root.partial" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
      sh -ec 'apt-get -qq update; apt-get -qq -y --download-only --no-install-recommends -o APT::Keep-Downloaded-Packages=true install "$@"' \
      sh adduser $needs
  }
  fetch >"$root.log" 2>&1 || {
    tail -20 "$root.log" >&2
    root_fail "could not fetch the packages that pages install"
  }
  # In rooms, packages may start what they bring.
  rm -f "$root.partial/usr/sbin/policy-rc.d"
  mv "$root.partial" "$root"
fi
exec 9>&-

# Whatever stands in the page's comment of that name.
setting() { python3 $book setting "$page" "$1"; }

furnish() {
  mkdir -p "$room/opt/book"
  cp $book "$page" target/debug/examples/nameserver "$room/opt/book/"
  mv "$room/usr/bin/systemctl" "$room/usr/bin/systemctl.systemd"
  cp tests/debian/systemctl "$room/usr/bin/systemctl"
  cp "$deb" "$room/root/$name"
  inside sh -ec '
    mkdir -p /run/systemd/system
    useradd --create-home --shell /bin/bash ann
    printf "APT::Install-Recommends false;\nDpkg::Use-Pty false;\n" >/etc/apt/apt.conf.d/90room
    postconf -e maillog_file=/var/log/mail.log
    newaliases
    systemctl start postfix'
  if setting zone >"$room/opt/book/zone"; then
    inside sh -c 'exec /opt/book/nameserver /opt/book/zone 127.0.0.1:53 >/opt/book/dns 2>&1 &'
    room_wait 'grep -q ^listening /opt/book/dns'
  fi
  if ! setting bare >/dev/null; then
    packages=$(setting packages | tr , ' ' || true)
    # shellcheck disable=SC2086 # a list of packages
    inside apt-get -qq -y install $packages "/root/$name" >"$room/opt/book/apt" 2>&1 </dev/null || {
      cat "$room/opt/book/apt" >&2
      root_fail "$page: could not install its packages"
    }
    room_wait 'outgate status'
  fi
  if wiring=$(setting wiring); then wire "$wiring"; fi
}

# Puts the lines of that wiring where they belong. Debian's own master.cf has no submission services switched on.
wire() {
  inside sh -ec '
    outgate postfix config --wiring "$1" >/opt/book/lines
    sed "/^# master.cf/,\$d" /opt/book/lines | grep "^[a-z]" >/opt/book/main
    while read -r line; do postconf -e "$line"; done </opt/book/main
    sed -n "/^# master.cf/,\$p" /opt/book/lines | grep -v "^#" >>/etc/postfix/master.cf
    systemctl restart postfix' sh "$1"
}

failed=
done=
for page in "$@"; do
  if reason=$(setting none); then
    done="$done
  $page: none, $reason"
    continue
  fi
  room_open
  began=$(date +%s)
  furnish
  if count=$(inside python3 /opt/book/book.py run "/opt/book/${page##*/}" $aloud 2>"$room_place/said"); then
    [ -z "$aloud" ] || cat "$room_place/said"
    done="$done
  $page: $count commands, $(($(date +%s) - began)) s"
  else
    failed="$failed $page"
    printf "book: %s: %s\n" "$page" "$(cat "$room_place/said")" >&2
  fi
  room_close
done
echo "book: pages whose commands were run:$done"
[ -z "$failed" ] || root_fail "these pages do not show what happens:$failed"
