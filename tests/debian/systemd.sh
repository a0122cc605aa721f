#!/bin/sh
# The package under a systemd that really runs: restarts, upgrades, a hung daemon, a wrong configuration, a loss of
# power, while mail goes on. Part of make release, and skipped, loudly, where systemd-nspawn cannot boot.
#
# usage: tests/debian/systemd.sh [SUITE [DEB]]     SUITE: bookworm (default), trixie, jammy or noble
#                                                  DEB: a package that is there; without it one is built
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/debian/root.sh
. tests/debian/root.sh
suite=${1:-bookworm}
deb=${2:-$(packaging/deb.sh)}

say() {
  step=$*
  echo "systemd: $step"
}
fail() {
  echo "systemd: FAILED at: $step: $*" >&2
  inside journalctl --no-pager -u outgate -n 30 >&2 || true
  exit 1
}
is() { [ "$1" = "$2" ] || fail "expected $2, found: $1"; }
has() {
  case "$1" in
    *"$2"*) ;;
    *) fail "expected $2 in: $1" ;;
  esac
}
property() { inside systemctl show --value -p "$1" "${2:-outgate}"; }

# Like room_open, with systemd as process 1.
room_boot() {
  room_place=$root_store/room.$$
  rm -rf "$room_place"
  mkdir -p "$room_place/upper" "$room_place/work" "$room_place/tree"
  # The room starts its services as any host does; the root was made without.
  mkdir -p "$room_place/upper/usr/sbin"
  mknod "$room_place/upper/usr/sbin/policy-rc.d" c 0 0
  trap room_close EXIT
  trap 'exit 130' INT TERM HUP
  room_start
}
room_start() {
  setpriv --pdeathsig KILL unshare --mount sh -s "$root" "$room_place" >"$room_place/log" 2>&1 <<'BOOT' &
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/tree"
exec systemd-nspawn --quiet --keep-unit --register=no --private-network --console=pipe --hostname=mail.example.com \
  --resolv-conf=off --timezone=off --directory="$2/tree" --boot </dev/null
BOOT
  room_holder=$!
  # Process 1 of the room is the child of systemd-nspawn.
  for _ in $(seq 300); do
    kill -0 "$room_holder" 2>/dev/null || return 1
    room_keeper=$(pgrep -P "$room_holder" -x systemd || true)
    if [ -n "$room_keeper" ]; then
      room=/proc/$room_keeper/root
      case $(inside systemctl is-system-running 2>/dev/null || true) in running | degraded) return 0 ;; esac
    fi
    sleep 0.2
  done
  return 1
}
say "a $suite that boots"
tests/setup.sh systemd-container
root_make "$suite" systemd-sysv dbus
if ! room_boot; then
  echo "systemd: SKIPPED: systemd-nspawn cannot boot a system here:" >&2
  tail -5 "$room_place/log" >&2
  exit 0
fi

say "install"
cp "$deb" "$room/root/outgate.deb"
installed=$(inside apt-get install -y /root/outgate.deb 2>&1) || fail "$installed"
for line in "Failed" "rror:" "WARNING"; do
  case "$installed" in *"$line"*) fail "the installation says $line: $installed" ;; esac
done
for unit in outgate.service outgate-auth.socket outgate-policy.socket outgate-milter.socket; do
  is "$(property ActiveState $unit)" active
  is "$(inside systemctl is-enabled $unit)" enabled
done
is "$(property StatusText)" deciding
for socket in auth policy milter; do
  is "$(inside stat -c '%a %U:%G' /var/spool/postfix/outgate/$socket.sock)" "660 outgate:postfix"
done

say "wire and send"
inside openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mail.example.com \
  -keyout /etc/ssl/private/t.key -out /etc/ssl/t.crt 2>/dev/null
inside postconf -e mydestination= inet_interfaces=loopback-only default_transport=discard: maillog_file=/var/log/mail.log \
  smtpd_tls_cert_file=/etc/ssl/t.crt smtpd_tls_key_file=/etc/ssl/private/t.key
inside outgate domain add example.com --trusted >/dev/null
echo correct-horse | inside outgate user add shop --allow example.com --ip 127.0.0.1 --ip ::1 --quota 100000/day \
  --password-stdin >/dev/null
inside outgate postfix config --apply --yes >/dev/null 2>&1 || fail "postfix config --apply"
inside systemctl restart postfix
room_wait 'swaks --server 127.0.0.1:587 --quit-after CONNECT'
cat >"$room/root/send" <<'SEND'
#!/bin/sh
exec swaks --server 127.0.0.1:587 --tls --auth PLAIN --auth-user shop --auth-password correct-horse \
  --to friend@elsewhere.example --suppress-data --silent 1 "$@"
SEND
chmod 755 "$room/root/send"
inside /root/send --from news@example.com || fail "mail was not accepted"
has "$(inside /root/send --from ceo@bank.example 2>&1)" "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@bank.example"

# Two who may and one who may not, each in short sessions, until /root/enough is there.
load() {
  inside rm -f /root/enough /root/accepted /root/refused /root/wrong
  for who in a b c; do
    inside sh -c '
      while ! [ -e /root/enough ]; do
        if [ "$0" = c ]; then
          case $(/root/send --from ceo@bank.example 2>&1) in
            *"550 5.7.1 [ACL] Blocked"*) echo >>/root/refused ;;
            *) /root/send --from ceo@bank.example >>/root/wrong 2>&1 ;;
          esac
        elif /root/send --from news@example.com >/root/last.$0 2>&1; then echo >>/root/accepted
        else cat /root/last.$0 >>/root/wrong; fi
      done' "$who" &
    eval "load_$who=$!"
  done
  room_wait 'test -s /root/accepted && test -s /root/refused'
}
enough() {
  inside touch /root/enough
  wait "$load_a" "$load_b" "$load_c"
  [ ! -s "$room/root/wrong" ] || fail "a session heard something else: $(head -c 2000 "$room/root/wrong")"
  total=$((total + $(wc -l <"$room/root/accepted")))
}
used() { inside outgate --json quota show shop | tr ',' '\n' | sed -n 's/.*"used":\([0-9]*\).*/\1/p'; }
sockets() { inside stat -c %i /var/spool/postfix/outgate/auth.sock /var/spool/postfix/outgate/policy.sock /var/spool/postfix/outgate/milter.sock; }
total=1

say "ten restarts and reloads while mail goes on"
before=$(sockets)
load
for _ in 1 2 3 4 5 6 7 8 9 10; do
  seen=$(wc -l <"$room/root/accepted")
  inside systemctl reset-failed outgate
  inside systemctl restart outgate
  inside systemctl reload outgate
  room_wait "test \$(wc -l </root/accepted) -gt $seen"
done
enough
is "$(sockets)" "$before"
is "$(used)" "$total"
echo "systemd: $total messages, each charged once; $(wc -l <"$room/root/refused") refusals, each the right one"

say "an upgrade while mail goes on"
# The same program as another version.
dpkg-deb --raw-extract "$deb" "$room_place/next"
sed -i 's/^Version: .*/Version: 9.0.0-1/' "$room_place/next/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$room_place/next" "$room/root/next.deb" >/dev/null
pid=$(property MainPID)
load
upgraded=$(inside apt-get install -y /root/next.deb 2>&1) || fail "$upgraded"
has "$upgraded" "Setting up outgate (9.0.0-1)"
seen=$(wc -l <"$room/root/accepted")
room_wait "test \$(wc -l </root/accepted) -gt $((seen + 2))"
enough
[ "$(property MainPID)" != "$pid" ] || fail "the new program does not run"
is "$(sockets)" "$before"
is "$(used)" "$total"

say "a daemon that is killed, and one that hangs"
inside systemctl kill --kill-whom=main -s KILL outgate
room_wait 'systemctl is-active outgate && test "$(systemctl show --value -p NRestarts outgate)" = 1'
inside /root/send --from news@example.com || fail "mail was not accepted after a kill"
pid=$(property MainPID)
inside kill -STOP "$pid"
for _ in $(seq 90); do
  [ "$(property MainPID)" = "$pid" ] || break
  sleep 1
done
[ "$(property MainPID)" != "$pid" ] || fail "the watchdog did not bite"
room_wait 'systemctl is-active outgate'
inside /root/send --from news@example.com || fail "mail was not accepted after the watchdog"
total=$((total + 2))
is "$(used)" "$total"

say "a wrong configuration"
echo '[bogus]' >>"$room/etc/outgate/outgate.toml"
if inside systemctl reload outgate 2>/dev/null; then fail "a reload of a wrong configuration says nothing"; fi
inside /root/send --from news@example.com || fail "mail was not accepted after a failed reload"
inside systemctl reset-failed outgate
inside systemctl restart outgate 2>/dev/null || true
room_wait 'test "$(systemctl show --value -p ActiveState outgate)" = failed'
is "$(property ExecMainStatus)" 78
# Nobody decides: no mail, and no word that would make a client give up for good.
if heard=$(inside timeout 40 /root/send --from news@example.com --timeout 20 2>&1); then fail "mail was accepted without a decision"; fi
case "$heard" in *'<** 5'*) fail "a permanent refusal without a decision: $heard" ;; esac
sed -i '/^\[bogus\]$/d' "$room/etc/outgate/outgate.toml"
inside systemctl reset-failed outgate outgate-auth.socket outgate-policy.socket outgate-milter.socket
inside systemctl restart outgate
room_wait '/root/send --from news@example.com'
inside /root/send --from news@example.com

say "the power goes, and comes back"
kill -9 "$room_holder" "$room_keeper"
wait "$room_holder" 2>/dev/null || true
room_start || fail "it did not come up again"
room_wait 'systemctl is-active outgate && systemctl is-active postfix@-'
inside /root/send --from news@example.com || fail "mail was not accepted after the power came back"
[ "$(property ActiveEnterTimestampMonotonic)" -le "$(property InactiveExitTimestampMonotonic postfix@-.service)" ] ||
  fail "Postfix started before outgate"

say "remove"
removed=$(inside apt-get remove -y outgate 2>&1)
has "$removed" "POSTFIX STILL ASKS OUTGATE"
is "$(inside systemctl is-active outgate.service outgate-auth.socket outgate-policy.socket outgate-milter.socket | sort -u)" inactive
is "$(inside find /var/spool/postfix/outgate -type s)" ""
echo "systemd: ok"
