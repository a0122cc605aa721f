#!/bin/bash
# make demo: the main job, quotas and any-domain mode on a private Postfix, as real SMTP conversations. As root.
#
# Everything lives in one temporary directory and on loopback; the mail service and the DNS of this
# host are neither asked nor touched: a test name server plays the world's DNS. Each answer is
# checked; the first that is not the expected one ends it.
set -euo pipefail
cd "$(dirname "$0")/.."

outgate=$PWD/target/debug/outgate
nameserver=$PWD/target/debug/examples/nameserver
dir=$(mktemp -d /tmp/outgate-demo.XXXXXX)
port=$((20000 + RANDOM % 20000))
daemon=
dns=

finish() {
  postfix -c "$dir/etc" stop >/dev/null 2>&1 || true
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$dns" ] || kill "$dns" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() {
  printf '\nNOT AS EXPECTED: %s\n' "$1" >&2
  local log
  for log in dns.log outgate.log log/mail.log; do
    [ ! -s "$dir/$log" ] || { echo "--- $log"; tail -30 "$dir/$log"; } >&2
  done
  exit 1
}
title() { printf '\n\033[1m== %s\033[0m\n\n' "$1"; }
wait_for() { # what, command ...
  local what=$1; shift
  for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done
  fail "$what"
}

# ---- the world's DNS, as far as this demonstration goes
start_dns() {
  cat >"$dir/zone" <<'ZONE'
# this relay
spf.relay.example         TXT "v=spf1 ip4:192.0.2.25 -all"
# a customer that sends through this relay by a reseller's name
customer.example          TXT "v=spf1 include:_spf.reseller.example -all"
_spf.reseller.example     TXT "v=spf1 include:spf.relay.example -all"
customer.example          MX 10 mail.customer.example
_dmarc.customer.example   TXT "v=DMARC1; p=none"
# somebody who does not send through this relay
bank.example              TXT "v=spf1 mx -all"
# the domain of another account on this host: its SPF fits, and yet it is not ours
rival.example             TXT "v=spf1 include:spf.relay.example -all"
# a domain whose owner lets only the user crm send
locked.example            TXT "v=spf1 include:spf.relay.example -all"
_outgate.locked.example   TXT "v=og1 auth=crm"
# a domain whose name servers are in trouble
broken.example            SERVFAIL
ZONE
  "$nameserver" "$dir/zone" >"$dir/dns" 2>"$dir/dns.log" &
  dns=$!
  wait_for "the name server listens" grep -q '^listening ' "$dir/dns"
}
# publish NAME TYPE DATA: one record more.
publish() {
  printf '%s %s %s\n' "$@" >>"$dir/zone"
  kill -HUP "$dns"
}

# ---- a private Postfix, wired with the very file that the documentation shows
prepare() {
  chmod 755 "$dir"
  mkdir -p "$dir"/{etc,spool,data,log,state}
  chown postfix "$dir/data"
  install -d -o root -g postfix -m 2750 "$dir/spool/outgate"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mail.demo.example \
    -keyout "$dir/etc/key.pem" -out "$dir/etc/cert.pem" 2>/dev/null
  cat postfix/main.cf - >"$dir/etc/main.cf" <<CF
compatibility_level = 3.6
queue_directory = $dir/spool
data_directory = $dir/data
maillog_file = $dir/log/mail.log
maillog_file_prefixes = $dir
myhostname = mail.demo.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
default_transport = discard:
smtpd_tls_cert_file = $dir/etc/cert.pem
smtpd_tls_key_file = $dir/etc/key.pem
alias_maps =
local_recipient_maps =
alias_database =
CF
  sed -e "s/^submission inet/127.0.0.1:$port inet/" -e "s/^submissions inet/127.0.0.1:$((port + 1)) inet/" \
    postfix/auth-milter.master.cf >"$dir/etc/master.cf"
  cat tests/postfix/services.master.cf >>"$dir/etc/master.cf"
  cat >"$dir/outgate.toml" <<TOML
[store]
url = "sqlite:$dir/state/outgate.db"

[listen]
auth = "unix:$dir/spool/outgate/auth.sock"
policy = "unix:$dir/spool/outgate/policy.sock"
milter = "unix:$dir/spool/outgate/milter.sock"

[relay]
spf-include = "spf.relay.example"

[dns]
servers = ["$(sed -n 's/^listening //p' "$dir/dns")"]

[reply]
report-url = "https://mail.demo.example/r/{id}"
TOML
}

# ---- conversations
# send TITLE USER PASSWORD FROM HEADER_FROM EXPECTED: one message by swaks; EXPECTED must appear in an answer.
send() {
  title "$1"
  local talk=$dir/talk
  swaks --server 127.0.0.1 --port "$port" --tls --helo client.example --auth PLAIN --auth-hide-password \
    --auth-user "$2" --auth-password "$3" --from "$4" --to friend@elsewhere.example \
    --header "From: $5" --header "Subject: hello" --body "Hello." >"$talk" 2>&1 || true
  # The interesting half: from AUTH on, without TLS noise, the message itself and the farewell.
  sed -n '/^ ~> AUTH/,$p' "$talk" | grep -E '^( ~>|<~)' | grep -vE '^( ~> (QUIT|Date:|Message-Id:|X-Mailer:|To:| *$)|<~[ *]* 221 )' |
    sed -e 's/^\( ~> AUTH PLAIN\).*/\1 (name and password)/' -e 's/^<~\**/ <~/' || true
  grep -qF -- "$6" "$talk" || { cat "$talk" >&2; fail "expected: $6"; }
}

# ask EXIT EXPECTED WORDS...: a command that answers a question, its exit code and a part of its answer.
ask() {
  local code=0 exit=$1 expected=$2; shift 2
  og "$@" >"$dir/said" || code=$?
  sed 's/^/    /' "$dir/said"
  [ "$code" = "$exit" ] || fail "exit code $exit of outgate $*, which was $code"
  grep -qF -- "$expected" "$dir/said" || fail "outgate $* says: $expected"
}

# A session that goes on while the operator works.
open_session() {
  coproc SESSION { openssl s_client -connect "127.0.0.1:$port" -starttls smtp -quiet -crlf -ign_eof 2>/dev/null; }
  say "EHLO client.example"
  say "AUTH PLAIN $(printf '\0%s\0%s' "$1" "$2" | base64 -w0)" quiet
}
say() {
  [ "${2:-}" = quiet ] && echo " ~> AUTH PLAIN ..." || echo " ~> $1"
  printf '%s\n' "$1" >&"${SESSION[1]}"
  hear
}
hear() {
  local line
  while IFS= read -r -t 10 line <&"${SESSION[0]}"; do
    line=${line%$'\r'}
    case $line in 250-*) continue ;; esac
    echo " <~ $line"
    answer=$line
    case $line in ???" "*) return 0 ;; esac
  done
  fail "the session broke off"
}
expect() { case $answer in *"$1"*) ;; *) fail "expected: $1" ;; esac; }

[ "$(id -u)" = 0 ] || { echo "make demo: Postfix starts as root only; run this as root" >&2; exit 1; }
start_dns
prepare
"$outgate" -c "$dir/outgate.toml" serve >"$dir/ready" 2>"$dir/outgate.log" &
daemon=$!
wait_for "outgate is ready" grep -q '^ready$' "$dir/ready"
postfix -c "$dir/etc" start >/dev/null 2>&1 || fail "Postfix starts"
wait_for "Postfix listens" bash -c ": </dev/tcp/127.0.0.1/$port"

title "One account, two domains, three SMTP users"
og() { printf '$ outgate %s\n' "$*"; "$outgate" -c "$dir/outgate.toml" "$@"; }
quietly() { og "$@" >"$dir/said" 2>&1 </dev/stdin || { cat "$dir/said"; fail "outgate $1 $2"; }; grep -E '^\$|name|domain |^verified by|mode|allow|^ip' "$dir/said" | sed 's/^/    /'; }
quietly domain add shop.example --trusted
quietly domain add news.example --trusted
echo correct-horse-battery | quietly user add shop --allow shop.example --password-stdin
echo correct-horse-battery | quietly user add newsletter --mode all-domains --password-stdin
echo correct-horse-battery | quietly user add erp --allow shop.example --ip 203.0.113.0/24 --password-stdin

good=correct-horse-battery
send "Mode default: shop sends as its own domain" shop $good orders@shop.example "Shop <orders@shop.example>" "250 2.0.0 Ok: queued"
send "Mode all-domains: newsletter sends as any verified domain" newsletter $good hello@news.example "\"News, daily\" <hello@news.example>" "250 2.0.0 Ok: queued"
send "A wrong password" shop wrong-password orders@shop.example "Shop <orders@shop.example>" "535 5.7.8 Error: authentication failed: Authentication failed"
send "The right password from a wrong address" erp $good erp@shop.example "ERP <erp@shop.example>" "535 5.7.8 Error: authentication failed: IP not authorized"
send "A foreign envelope sender" shop $good ceo@bank.example "Shop <orders@shop.example>" "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@bank.example"
send "A foreign header From behind an honest envelope" shop $good orders@shop.example "CEO <ceo@bank.example>" "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@bank.example (header From)"

title "A user that is removed in the middle of its session"
open_session shop $good
expect "235 2.7.0"
say "MAIL FROM:<orders@shop.example>"; expect "250 2.1.0"
quietly user remove shop
say "RCPT TO:<friend@elsewhere.example>"; expect "550 5.7.1 [ACL] Blocked"
say "QUIT"

title "Why was that refused?"
ask 1 "refuse (sender-not-allowed)" explain --user newsletter --ip 192.0.2.7 --mail-from ceo@bank.example

title "A quota: two messages an hour"
# The third one is to come in the same hour.
while ((10#$(date -u +%M%S) >= 5930)); do sleep 1; done
echo $good | quietly user add alerts --allow shop.example --quota 2/hour --password-stdin
alert=(alerts "$good" alerts@shop.example "Alerts <alerts@shop.example>")
send "The first" "${alert[@]}" "250 2.0.0 Ok: queued"
send "Refused for its header From: costs nothing" alerts $good alerts@shop.example "CEO <ceo@bank.example>" "550 5.7.1 [ACL] Blocked: user alerts may not send as ceo@bank.example (header From)"
send "The second" "${alert[@]}" "250 2.0.0 Ok: queued"
send "The third: put off at MAIL, before it is handed over" "${alert[@]}" "450 4.7.1 [QUOTA] Exceeded: user alerts has used 2 of 2 messages an hour; try again after "
title "What is left, why it is put off, and a reset by hand"
ask 0 "user:alerts" quota show
ask 1 "defer (quota-exceeded)" explain --user alerts --mail-from alerts@shop.example
ask 0 "user:alerts" quota reset alerts
send "After the reset" "${alert[@]}" "250 2.0.0 Ok: queued"
ask 0 "2/hour messages (1 used, 1 left)" user show alerts

title "The world's DNS, for what follows"
sed 's/^/    /' "$dir/zone"

title "A domain is proved by its DNS, and works at once in mode all-domains"
og domain add brand.example >"$dir/claim"
grep -E '^\$|^domain|^status|^publish' "$dir/claim" | sed 's/^/    /'
send "Before" newsletter $good hello@brand.example "Brand <hello@brand.example>" "550 5.7.1 [ACL] Blocked: user newsletter may not send as hello@brand.example"
read -r name kind value < <(sed -n 's/^publish  *//p' "$dir/claim")
title "The record is published"
publish "$name" "$kind" "$value"
tail -1 "$dir/zone" | sed 's/^/    /'
seen() { { "$outgate" -c "$dir/outgate.toml" domain check brand.example || true; } | grep -q '^challenge  *ok'; }
wait_for "the record is seen" seen
quietly domain verify brand.example
send "After" newsletter $good hello@brand.example "Brand <hello@brand.example>" "250 2.0.0 Ok: queued"

title "What the world sees of a customer that says it sends through here"
ask 0 "customer.example -> include:_spf.reseller.example -> include:spf.relay.example" domain check customer.example

title "An account of its own, and a user that may send as any domain that lets it"
quietly account add rival
quietly domain add rival.example --account rival --trusted
echo $good | quietly user add agency --mode any-domain --password-stdin
send "The customer's record leads here: accepted, by envelope and header From" agency $good ann@customer.example "Ann <ann@customer.example>" "250 2.0.0 Ok: queued"
send "A domain without SPF" agency $good ann@nobody.example "Ann <ann@nobody.example>" "550 5.7.1 [SPF_INVALID] Blocked: user agency may not send as ann@nobody.example"
send "An SPF record that does not lead here, by header From" agency $good ann@customer.example "CEO <ceo@bank.example>" "550 5.7.1 [SPF_INVALID] Blocked: user agency may not send as ceo@bank.example (header From)"
send "The domain of another account, although its SPF fits" agency $good ceo@rival.example "CEO <ceo@rival.example>" "550 5.7.1 [ACL] Blocked: user agency may not send as ceo@rival.example"
send "A domain whose owner lets only others send" agency $good ann@locked.example "Ann <ann@locked.example>" "550 5.7.1 [ACL] Blocked: user agency may not send as ann@locked.example"

send "A name whose DNS is in trouble: put off, neither let through nor bounced" agency $good ann@broken.example "Ann <ann@broken.example>" "451 4.4.3 [DNS] Unavailable: whether user agency may send as ann@broken.example"

title "Why may agency not send as locked.example?"
ask 1 "refuse (locked-down)" explain --user agency --mail-from ann@locked.example

title "What was refused or put off, from the decision log"
ask 0 "quota-exceeded" log --user alerts --refused
id=$("$outgate" -c "$dir/outgate.toml" log --user alerts --reason quota-exceeded --limit 1 --json | sed 's/.*"id":"\([^"]*\)".*/\1/')
title "A customer sends in the id from behind the link of the reply"
ask 0 "quota-exceeded" explain "$id"

title "What outgate wrote about it"
grep ' decision ' "$dir/outgate.log" | sed -E 's/ (id|account|user_id|ms|recipients|queue_id)=("[^"]*"|[^ ]*)//g' | cut -c1-230

printf '\nEvery answer was the expected one.\n'
