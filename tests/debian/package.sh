#!/bin/sh
# The Debian package from the first install to the purge, in a throw-away Debian beside the Postfix of that release,
# as an administrator would go: install, wire, send, upgrade while mail goes on, downgrade, remove, install again,
# purge. First without systemd; then its part is played by the stand-in of the book's tests (systemctl).
#
# usage: tests/debian/package.sh [SUITE [DEB]]     SUITE: bookworm (default), trixie, jammy or noble
#                                                  DEB: a package that is there; without it one is built
set -eu
cd "$(dirname "$0")/../.."
. tests/debian/root.sh
suite=${1:-bookworm}
work=$PWD/target/package-$suite
step=
why="a command failed"
began=$(date +%s)

say() {
  step=$*
  echo "package: $(($(date +%s) - began)) s: $step"
}
end() {
  status=$?
  trap - EXIT
  if [ "$status" != 0 ]; then
    for log in "$room"/var/log/outgate.log "$room"/var/log/standin/outgate.service.log "$room"/var/log/mail.log; do
      if [ -s "$log" ]; then
        echo "--- ${log#"$room"}" >&2
        tail -n 12 "$log" >&2
      fi
    done
    echo "package: FAILED on $suite, at: $step: $why" >&2
  fi
  room_close
  rm -rf "$work"
  exit "$status"
}
fail() {
  why=$*
  exit 1
}
is() { [ "$1" = "$2" ] || fail "expected: $2, found: $1"; }
has() {
  case "$1" in
    *"$2"*) ;;
    *) fail "expected: $2, in:
$1" ;;
  esac
}
lacks() {
  case "$1" in
    *"$2"*) fail "not expected: $2, in:
$1" ;;
  esac
}
mode() { inside stat -c '%a %U:%G' "$1"; }
apt() { inside apt-get -q -y --allow-downgrades -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@" </dev/null 2>&1; }
version() { inside dpkg-query -W -f '${db:Status-Abbrev} ${Version}' outgate; }
wiring() { inside sh -c 'cat /etc/postfix/main.cf /etc/postfix/master.cf | md5sum'; }

# What the package gives out, whoever installed it before.
as_made() {
  is "$(mode /etc/outgate/outgate.toml)" "640 root:outgate"
  is "$(mode /var/lib/outgate)" "700 outgate:outgate"
  is "$(mode /var/spool/postfix/outgate)" "2750 outgate:postfix"
}

# send PORT ADDRESS SENDER PASSWORD: the session, from that address of loopback.
send() {
  tls=--tls
  [ "$1" != 465 ] || tls=--tls-on-connect
  inside swaks --server 127.0.0.1 --port "$1" --local-interface "$2" "$tls" --auth PLAIN --auth-user shop --auth-password "$4" \
    --from "$3" --to friend@elsewhere.example --timeout 20 2>&1 </dev/null || true
}

# systemd's part from now on: the stand-in holds the sockets, and does what the package's scripts ask of systemctl.
systemd_comes() {
  mkdir -p "$room/run/systemd/system"
  mv "$room/usr/bin/systemctl" "$room/usr/bin/systemctl.systemd"
  cp tests/debian/systemctl "$room/usr/bin/systemctl"
  rm -f "$room/usr/sbin/policy-rc.d"
}
running() { inside systemctl is-active outgate.service outgate-auth.socket outgate-policy.socket outgate-milter.socket | sort -u; }
sockets() { inside sh -c 'stat -c "%i %a %U:%G" /var/spool/postfix/outgate/*.sock'; }
pid() { inside pgrep -x -u outgate outgate; }

# other FILE VERSION [EDIT]: the same program as another version, after EDIT in its unpacked tree.
other() {
  rm -rf "$work/tree"
  dpkg-deb --raw-extract "$deb" "$work/tree"
  sed -i "s/^Version: .*/Version: $2/" "$work/tree/DEBIAN/control"
  (cd "$work/tree" && eval "${3:-:}")
  dpkg-deb --root-owner-group -Znone --build "$work/tree" "$work/$1" >/dev/null
}

say "build and lintian"
root_ready
tests/setup.sh lintian shellcheck binutils
deb=${2:-$(packaging/deb.sh)}
[ -s "$deb" ] || fail "no package at $deb"
rm -rf "$work"
mkdir -p "$work"
lintian --allow-root --fail-on error,warning "$deb"
shellcheck -x -S warning packaging/deb.sh packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm tests/debian/package.sh tests/debian/root.sh
other next.deb 9.0.0-1 'echo "# a later sample" >>etc/outgate/outgate.toml'
other broken.deb 9.0.1-1 'printf "#!/bin/sh\nexit 1\n" >DEBIAN/preinst; chmod 755 DEBIAN/preinst'

say "a throw-away $suite"
root_make "$suite" sqlite3
room_open
trap end EXIT
cp "$deb" "$room/root/this.deb"
cp "$work/next.deb" "$work/broken.deb" "$room/root/"
: >"$room/var/log/outgate.log"
chmod 666 "$room/var/log/outgate.log"
chmod 711 "$room/root"
this=$(dpkg-deb -f "$deb" Version)

say "install"
stock=$(wiring)
has "$(apt install ./this.deb)" "nothing asks it yet"
is "$(version)" "ii  $this"
as_made
is "$(wiring)" "$stock"
is "$(inside dpkg --verify outgate)" ""
has "$(inside outgate --version)" "outgate ${this%-*}"
inside outgate check-config >/dev/null
for file in postfix/auth-milter.master.cf fail2ban/outgate.conf logcheck/outgate grafana/outgate.json prometheus/alerts.yml; do
  [ -s "$room/usr/share/doc/outgate/examples/$file" ] || fail "no example $file"
done
for file in bash-completion/completions/outgate zsh/vendor-completions/_outgate fish/vendor_completions.d/outgate.fish; do
  [ -s "$room/usr/share/$file" ] || fail "no completion $file"
done
bash -n "$room/usr/share/bash-completion/completions/outgate"

say "manual pages and units"
complaints=$(inside sh -c 'for page in /usr/share/man/man[158]/outgate*; do
  MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null; done')
is "$complaints" ""
for page in "8 outgate" "5 outgate.toml" "1 outgate-user" "1 outgate-domain" "1 outgate-postfix"; do
  inside man -w $page >/dev/null
done
inside systemd-analyze verify /usr/lib/systemd/system/outgate.service
exposure=$(inside systemd-analyze security --offline=true --threshold=20 outgate.service | tail -n 1)
has "$exposure" "Overall exposure level"
echo "package: $exposure"

say "wire Postfix"
inside_as outgate sh -c 'outgate serve </dev/null >/var/log/outgate.log 2>&1 &'
room_wait 'grep ^ready /var/log/outgate.log'
# Debian 13's Postfix comes without a certificate; whoever offers submission has made one.
inside sh -e -c '
  postconf -e default_transport=discard:
  if [ -z "$(postconf -xh smtpd_tls_cert_file smtpd_tls_chain_files | tr -d "\n")" ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=mail.example.com -keyout /etc/ssl/private/mail.key \
      -out /etc/ssl/mail.pem 2>/dev/null
    postconf -e smtpd_tls_cert_file=/etc/ssl/mail.pem smtpd_tls_key_file=/etc/ssl/private/mail.key
  fi
  outgate postfix config >lines
  sed "/^submission/,\$d" lines | grep " = " | while read -r line; do postconf -e "$line"; done
  sed -n "/^submission/,\$p" lines >>/etc/postfix/master.cf
  postfix check'
has "$(inside grep -E '^(submission|smtp) +inet +n +- +y' /etc/postfix/master.cf)" submission
room_postfix
inside outgate domain add example.com --trusted >/dev/null
echo correct-horse | inside outgate user add shop --allow example.com --ip 127.0.0.1 --ip ::1 --quota 1000/day --password-stdin >/dev/null

say "mail, with the daemon's own sockets"
has "$(send 587 127.0.0.1 news@example.com correct-horse)" "250 2.0.0 Ok: queued as"
has "$(send 465 127.0.0.1 news@example.com correct-horse)" "250 2.0.0 Ok: queued as"
has "$(send 587 127.0.0.2 news@example.com correct-horse)" "535 5.7.8 Error: authentication failed: IP not authorized"
has "$(send 587 127.0.0.1 news@example.com wrong-horse)" "535 5.7.8 Error: authentication failed: Authentication failed"
has "$(send 587 127.0.0.1 ceo@bank.example correct-horse)" "550 5.7.1 [ACL] Blocked"
is "$(inside outgate doctor 2>&1)" "nothing wrong was found"
# What came out of Postfix is what was charged.
used() { inside outgate --json quota show shop | sed 's/.*"used":\([0-9]*\).*/\1/'; }
room_wait '[ $(grep -c "status=sent" /var/log/mail.log) = 2 ]'
is "$(used)" 2
inside pkill -TERM -u outgate
room_wait '! pgrep -u outgate'

say "the same with the sockets of systemd"
systemd_comes
inside systemctl start outgate
is "$(running)" active
held=$(sockets)
has "$held" "660 outgate:postfix"
has "$(send 587 127.0.0.1 news@example.com correct-horse)" "250 2.0.0 Ok: queued as"
inside systemctl restart outgate
has "$(send 587 127.0.0.1 news@example.com correct-horse)" "250 2.0.0 Ok: queued as"
is "$(used)" 4

say "upgrade while mail goes on"
inside sh -c 'echo "# my own line" >>/etc/outgate/outgate.toml'
inside sh -c 'while ! [ -e enough ]; do
    swaks --server 127.0.0.1 --port 587 --tls --auth PLAIN --auth-user shop --auth-password correct-horse \
      --from news@example.com --to friend@elsewhere.example --timeout 60 >session 2>&1
    grep -q "Ok: queued as" session && echo accepted >>sent || cat session >>troubled
  done </dev/null >/dev/null 2>&1 &'
room_wait '[ $(grep -c . sent) -ge 2 ]'
old=$(pid)
has "$(apt install ./next.deb)" "Setting up outgate (9.0.0-1)"
room_wait "[ \$(grep -c . sent) -ge $(($(inside grep -c . sent) + 3)) ]"
inside touch enough
room_wait '! pgrep swaks'
[ ! -e "$room/root/troubled" ] || fail "mail was refused during the upgrade: $(cat "$room/root/troubled")"
accepted=$((4 + $(inside grep -c . sent)))
room_wait "[ \$(grep -c 'status=sent' /var/log/mail.log) -ge $accepted ]"
is "$(used)" "$accepted"
is "$(version)" "ii  9.0.0-1"
as_made
[ "$(pid)" != "$old" ] || fail "the daemon of before still runs"
is "$(sockets)" "$held"
inside grep -q '^# my own line' /etc/outgate/outgate.toml
inside grep -q '^# a later sample' /etc/outgate/outgate.toml.dpkg-dist
echo "package: $accepted messages, none lost, none charged twice"

say "an upgrade that fails leaves what was there"
if apt install ./broken.deb >"$work/broken.log"; then fail "a package whose preinst fails was installed"; fi
is "$(version)" "ii  9.0.0-1"
is "$(inside dpkg --audit)" ""
has "$(send 587 127.0.0.1 news@example.com correct-horse)" "250 2.0.0 Ok: queued as"

say "downgrade"
has "$(apt install ./this.deb)" "downgrading outgate"
is "$(version)" "ii  $this"
is "$(sockets)" "$held"
has "$(send 587 127.0.0.1 news@example.com correct-horse)" "250 2.0.0 Ok: queued as"
inside systemctl stop outgate
schema=$(inside_as outgate sqlite3 /var/lib/outgate/outgate.db 'PRAGMA user_version')
inside_as outgate sqlite3 /var/lib/outgate/outgate.db 'PRAGMA user_version = 9000' >/dev/null
if inside systemctl start outgate 2>/dev/null; then fail "the store of a later version was taken"; fi
has "$(inside tail -n 2 /var/log/standin/outgate.service.log)" "has schema version 9000, and this outgate knows versions up to $schema: use the newer outgate"
if refused=$(inside outgate user list 2>&1); then fail "a command took the store of a later version"; fi
has "$refused" "use the newer outgate"
inside_as outgate sqlite3 /var/lib/outgate/outgate.db "PRAGMA user_version = $schema" >/dev/null
inside systemctl start outgate
has "$(send 587 127.0.0.1 news@example.com correct-horse)" "250 2.0.0 Ok: queued as"

say "logcheck's rules"
# As syslog would have written what the daemon has said: what is left is what somebody should see.
inside cat /var/log/standin/outgate.service.log /var/log/outgate.log | sed 's/^/2026-11-25T17:00:00.123456+01:00 mail outgate[123]: /' >"$work/syslog"
sed 's/^[^ ]*/Nov 25 17:00:00/' "$work/syslog" >"$work/syslog.short"
cat "$work/syslog.short" >>"$work/syslog"
grep -E '^[^#]' packaging/logcheck/outgate >"$work/rules"
left=$(grep -E -v -f "$work/rules" "$work/syslog" || true)
lacks "$left" "verdict=allow"
lacks "$left" "reason=bad-password"
lacks "$left" "]: ready"
has "$left" "reason=ip-not-authorized"
has "$left" "reason=sender-not-allowed"
has "$left" "ERROR outgate ends"

say "what an administrator decided stays: dpkg-statoverride, a configuration that is gone"
inside dpkg-statoverride --update --add root adm 0644 /etc/outgate/outgate.toml
inside dpkg-statoverride --update --add outgate postfix 2770 /var/spool/postfix/outgate
inside chmod 2750 /var/spool/postfix/outgate
apt install --reinstall ./this.deb >/dev/null
inside systemd-tmpfiles --create outgate.conf
is "$(mode /etc/outgate/outgate.toml)" "644 root:adm"
is "$(mode /var/spool/postfix/outgate)" "2770 outgate:postfix"
inside rm /etc/outgate/outgate.toml
apt install --reinstall ./this.deb >/dev/null
[ ! -e "$room/etc/outgate/outgate.toml" ] || fail "a removed configuration came back"
inside sh -c 'dpkg-statoverride --remove /etc/outgate/outgate.toml; dpkg-statoverride --remove /var/spool/postfix/outgate' >/dev/null
apt -o Dpkg::Options::=--force-confmiss install --reinstall ./this.deb >/dev/null
as_made

say "remove while Postfix asks outgate"
# Beside another milter in main.cf, and an entry that is long and one that is short.
inside postconf -e 'smtpd_milters = { unix:outgate/milter.sock, connect_timeout=5s }, inet:127.0.0.1:11332' \
  'smtpd_sender_restrictions = check_policy_service unix:outgate/policy.sock, reject_non_fqdn_sender'
warning=$(apt remove outgate)
has "$warning" "POSTFIX STILL ASKS OUTGATE"
has "$warning" "submission/inet/smtpd_sasl_path = outgate/auth.sock"
has "$warning" "submissions/inet/smtpd_milters = { unix:outgate/milter.sock"
has "$warning" "postconf -e 'smtpd_milters = inet:127.0.0.1:11332'"
is "$(running)" inactive
is "$(inside find /var/spool/postfix/outgate -type s)" ""
printf '%s\n' "$warning" | sed -n 's/^    \(postconf .*\|postfix check .*\)/\1/p' >"$room/root/undo"
[ "$(wc -l <"$room/root/undo")" -ge 7 ] || fail "too few commands in: $warning"
inside sh -e undo
lacks "$(inside sh -c 'postconf -n; postconf -P')" outgate/
lacks "$(wiring; inside cat /etc/postfix/main.cf)" outgate/milter
inside sh -e -c 'postconf -X smtpd_milters; postfix reload' 2>/dev/null
# Processes of smtpd that are there still end with what they do.
room_wait 'swaks --server 127.0.0.1 --to root@mail.example.com --from friend@elsewhere.example | grep "250 2.0.0 Ok: queued as"'
room_wait 'swaks --server 127.0.0.1 --port 587 --tls --quit-after EHLO | grep "250-"'

say "removed: configuration, data and user stay, and the next installation uses them"
is "$(version)" "rc  $this"
[ ! -e "$room/usr/bin/outgate" ] || fail "the program is still there"
inside test -e /etc/outgate/outgate.toml -a -s /var/lib/outgate/outgate.db
inside id outgate >/dev/null
lacks "$(apt install ./this.deb)" "POSTFIX"
as_made
has "$(inside outgate user show shop)" shop
is "$(running)" active
lacks "$(apt remove outgate)" "STILL ASKS"
# Wired by outgate itself: the record of before is named, and found by the next installation.
apt install ./this.deb >/dev/null
inside sh -c 'sed -i "/^submission/,\$d" /etc/postfix/master.cf'
unwired=$(wiring)
inside outgate postfix config --apply --yes >/dev/null 2>&1
has "$(apt remove outgate)" "outgate postfix config --undo"
apt install ./this.deb >/dev/null
inside outgate postfix config --undo --yes >/dev/null 2>&1
is "$(wiring)" "$unwired"
lacks "$(apt remove outgate)" "STILL ASKS"

say "purge"
apt purge outgate >/dev/null
for path in /etc/outgate /var/lib/outgate /var/spool/postfix/outgate /usr/share/outgate /usr/share/doc/outgate /etc/postfix/outgate-undo; do
  [ ! -e "$room$path" ] || fail "left behind: $path"
done
is "$(inside sh -c 'find /etc/systemd /var/lib/systemd -name "*outgate*"')" ""
inside id outgate >/dev/null
is "$(inside dpkg-query -W outgate 2>/dev/null || true)" ""

say "installation on a host that had it before; Postfix goes first"
apt install ./this.deb >/dev/null
as_made
has "$(apt remove postfix)" "Removing outgate"
apt purge outgate postfix >/dev/null
[ ! -e "$room/var/lib/outgate" ] || fail "left behind: /var/lib/outgate"

say "installation beside a group of the name"
room_open
trap end EXIT
cp "$deb" "$room/root/this.deb"
inside addgroup --quiet --system outgate
apt install ./this.deb >/dev/null
as_made

say "maintainer scripts after failures of dpkg's"
scripts=/var/lib/dpkg/info/outgate
for call in "prerm failed-upgrade 9" "postinst abort-upgrade 9" "postinst abort-remove" "postinst abort-deconfigure in-favour x 1" \
  "prerm deconfigure in-favour x 1" "prerm upgrade 9" "postrm upgrade 9" "postrm failed-upgrade 9" "postrm abort-install" \
  "postrm abort-upgrade 9" "postinst configure $this" "postinst configure"; do
  # shellcheck disable=SC2086 # words
  set -- $call
  script=$1
  shift
  inside DPKG_MAINTSCRIPT_PACKAGE=outgate "$scripts.$script" "$@" >/dev/null || fail "$call failed"
done
as_made
is "$(inside dpkg --verify outgate)" ""

echo "package: $(($(date +%s) - began)) s: the package works on $suite"
