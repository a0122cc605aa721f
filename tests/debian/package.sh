#!/bin/sh
# The Debian package from the first install to the purge, in a throw-away Debian beside a Postfix that is
# installed there. Neither this host's files nor its network see anything of it.
#
# usage: tests/package.sh [SUITE]        Debian's or Ubuntu's name of a release; bookworm if none is given
set -eu
cd "$(dirname "$0")/.."
suite=${1:-bookworm}

[ "$(id -u)" = 0 ] || {
  echo "package: a throw-away Debian needs root: run this as root" >&2
  exit 1
}
tests/setup.sh mmdebstrap lintian systemd man-db binutils iproute2

work=$PWD/target/package
root=$work/$suite
mkdir -p "$work"
mounts() {
  for place in dev/pts dev proc; do
    if mountpoint -q "$root/$place"; then umount -l "$root/$place"; fi
  done
}
end() {
  status=$?
  [ "$status" = 0 ] || echo "package: FAILED, at step: $step" >&2
  # Whatever still runs in there.
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/root" 2>/dev/null)" != "$root" ] || kill -9 "${process#/proc/}" 2>/dev/null || true
  done
  mounts
  rm -rf "$root"
  exit "$status"
}
step="the throw-away Debian"
trap end EXIT
trap 'exit 130' INT TERM HUP

say() {
  step=$*
  echo "package: $step"
}
inside() { unshare -n chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
# Commands beside the daemon share its network.
beside() { nsenter -t "$keeper" -n chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
as_outgate() { beside setpriv --reuid outgate --regid outgate --init-groups "$@"; }
is() {
  [ "$1" = "$2" ] || {
    echo "package: expected $2, found: $1" >&2
    exit 1
  }
}
has() {
  case "$1" in
    *"$2"*) ;;
    *)
      echo "package: expected $2 in: $1" >&2
      exit 1
      ;;
  esac
}
mode() { inside stat -c '%a %U:%G' "$1"; }

say "build"
deb=$(packaging/deb.sh)
next=$work/next.deb
# The same program as a later version, for the upgrade.
packaging/deb.sh --next >"$work/next.path"
mv "$(cat "$work/next.path")" "$next"

say "lintian"
lintian --allow-root --fail-on error,warning "$deb"

say "manual pages and units"
for page in target/manual/man*/*; do
  complaints=$(MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
  is "$complaints" ""
done

say "a throw-away $suite"
mounts
rm -rf "$root"
mmdebstrap --quiet --mode=root --variant=apt \
  --include=adduser,postfix,swaks,libnet-ssleay-perl,openssl,systemd,procps,man-db,python3-minimal "$suite" "$root"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mount -t proc proc "$root/proc"
mount -t devtmpfs dev "$root/dev" 2>/dev/null || mount --bind /dev "$root/dev"

say "install"
cp "$deb" "$root/root/outgate.deb"
cp "$next" "$root/root/next.deb"
before=$(inside sh -c 'cat /etc/postfix/main.cf /etc/postfix/master.cf 2>/dev/null | md5sum')
inside dpkg -i /root/outgate.deb
is "$(mode /etc/outgate/outgate.toml)" "640 root:outgate"
is "$(mode /var/lib/outgate)" "700 outgate:outgate"
is "$(mode /var/spool/postfix/outgate)" "2750 outgate:postfix"
is "$(inside sh -c 'cat /etc/postfix/main.cf /etc/postfix/master.cf 2>/dev/null | md5sum')" "$before"
inside systemd-analyze verify /usr/lib/systemd/system/outgate.service
exposure=$(inside systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/outgate.service | tail -1)
echo "package: $exposure"
inside man outgate >/dev/null
inside outgate --version

say "the installed daemon beside the installed Postfix"
mkfifo "$work/keep"
unshare -n sh -c "ip link set lo up; exec sleep 3600" &
keeper=$!
inside openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout /etc/ssl/private/t.key -out /etc/ssl/t.crt 2>/dev/null
start_daemon() {
  as_outgate outgate serve >"$work/out" 2>>"$work/log" &
  daemon=$!
  for _ in $(seq 300); do
    ! grep -q '^ready' "$work/out" || return 0
    sleep 0.1
  done
  cat "$work/log" >&2
  exit 1
}
: >"$work/log"
start_daemon
as_outgate outgate domain add example.com --trusted >/dev/null
as_outgate sh -c 'echo correct-horse | outgate user add shop --allow example.com --quota 100/day --password-stdin' >/dev/null
beside sh -c 'postconf -e compatibility_level=3.6 myhostname=mail.example.com mydestination= inet_interfaces=loopback-only \
  default_transport=discard: local_transport=discard: maillog_file=/dev/stdout smtpd_tls_cert_file=/etc/ssl/t.crt smtpd_tls_key_file=/etc/ssl/private/t.key 2>/dev/null'
beside sh -c 'outgate postfix config >/root/lines'
beside sh -c 'sed -n "/^smtpd_/p; /^cleanup_/p; /^message_reject/p; /^[a-z_]* =/p" /root/lines >>/etc/postfix/main.cf; sed -n "/^submission/,\$p" /root/lines >>/etc/postfix/master.cf'
beside postfix check
beside postfix start-fg >"$work/mail.log" 2>&1 &
send() { beside swaks --server 127.0.0.1:587 --tls --auth PLAIN --auth-user shop --auth-password correct-horse --from "$1" --to friend@elsewhere.example 2>&1 || true; }
for _ in $(seq 100); do
  ! beside sh -c 'exec 3<>/dev/tcp/127.0.0.1/587' 2>/dev/null || break
  sleep 0.1
done
