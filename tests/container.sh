#!/bin/sh
# The container image beside a Postfix in another container: sockets on a shared volume, mail by real SMTP, a restart
# with data, nothing as root.
#
# usage: tests/container.sh [PACKAGE]        a .deb; without it, make deb builds one
#
# Skipped, and says so, where no container engine answers or containers cannot run. Where the base image cannot be
# fetched, one is made from Debian's archive. Leaves no container, volume or image of its own behind.
set -eu
cd "$(dirname "$0")/.."
package=${1:-}

skip() {
  echo "container: SKIPPED, nothing was tested: $1"
  exit 0
}
engine=
for candidate in podman docker; do
  if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then
    engine=$candidate
    break
  fi
done
[ -n "$engine" ] || skip "neither podman nor docker answers here"

name=outgate-test-$$
base=debian:bookworm-slim
work=$(mktemp -d)
end() {
  status=$?
  $engine rm --force "$name" "$name-postfix" >/dev/null 2>&1 || true
  $engine volume rm --force "$name-data" "$name-sockets" >/dev/null 2>&1 || true
  $engine rmi --force "$name" "$name-postfix" "$name-base" >/dev/null 2>&1 || true
  rm -rf "$work"
  [ "$status" = 0 ] || echo "container: FAILED, at step: ${step:-start}" >&2
  exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM HUP
say() {
  step=$*
  echo "container: $step"
}
has() {
  case "$1" in
    *"$2"*) ;;
    *)
      echo "container: expected $2 in: $1" >&2
      exit 1
      ;;
  esac
}
# Waits for a condition, half a minute at most.
await() {
  for _ in $(seq 150); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  echo "container: waited in vain for: $*" >&2
  $engine logs "$name" >&2 || true
  exit 1
}

say "base image"
if ! $engine pull --quiet "$base" >/dev/null 2>&1; then
  tests/setup.sh mmdebstrap
  echo "container: $base cannot be fetched: making one from Debian's archive"
  mmdebstrap --quiet --variant=minbase bookworm "$work/base.tar"
  $engine import "$work/base.tar" "$name-base" >/dev/null
  rm "$work/base.tar"
  base=$name-base
fi

# Inside another container, limits and control groups may not be ours to set: the least that works.
run=
for try in "$engine run" "$engine run --ulimit nofile=1024:1024 --ulimit nproc=4096:4096" \
  "$engine --runtime runc run --ulimit nofile=1024:1024 --ulimit nproc=4096:4096"; do
  if $try --rm --network none "$base" true >/dev/null 2>>"$work/run.log"; then
    run=$try
    break
  fi
done
[ -n "$run" ] || skip "$engine cannot run a container here ($(tail -1 "$work/run.log"))"
build="$engine build"
if [ "$engine" = podman ] && [ "$run" != "podman run" ]; then build="$engine build --isolation chroot"; fi

say "an image of Postfix, to ask it"
mkdir "$work/postfix"
cat >"$work/postfix/Containerfile" <<'T'
ARG BASE
FROM ${BASE}
RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y postfix swaks >/dev/null
T
$build --network host --build-arg BASE="$base" --tag "$name-postfix" "$work/postfix" >"$work/build.log" 2>&1 || {
  tail -20 "$work/build.log" >&2
  exit 1
}
gid=$($run --rm --network none "$name-postfix" getent group postfix | cut -d: -f3)

say "the image of outgate"
[ -n "$package" ] || package=$(packaging/deb.sh)
mkdir "$work/outgate"
cp "$package" "$work/outgate/outgate.deb"
$build --build-arg BASE="$base" --build-arg POSTFIX_GID="$gid" --file packaging/container/Containerfile \
  --tag "$name" "$work/outgate" >"$work/build.log" 2>&1 || {
  tail -20 "$work/build.log" >&2
  exit 1
}

# No TLS in this test; everything else as in the image.
printf '[auth]\nrequire-tls = false\n' >"$work/outgate.toml"
chmod 755 "$work"
chmod 644 "$work/outgate.toml"
serve() {
  $run --detach --name "$name" --network none --read-only --cap-drop ALL --security-opt no-new-privileges \
    --volume "$name-data:/var/lib/outgate" --volume "$name-sockets:/var/spool/postfix/outgate" \
    --volume "$work/outgate.toml:/etc/outgate/outgate.toml:ro" "$name" >/dev/null
  await $engine exec "$name" outgate status
}
outgate() { $engine exec "$name" outgate "$@"; }

say "outgate, without rights and on a system that it cannot write"
serve
has "$($engine exec "$name" id)" "uid=10025(outgate)"
has "$(outgate --version)" "outgate "
outgate domain add example.com --trusted >/dev/null
echo correct-horse | $engine exec --interactive "$name" outgate user add shop --allow example.com --quota 3/day --password-stdin >/dev/null

say "Postfix, which shares the sockets"
$run --detach --name "$name-postfix" --network none --volume "$name-sockets:/var/spool/postfix/outgate" "$name-postfix" \
  sh -c 'postconf -e compatibility_level=3.6 maillog_file=/dev/stdout inet_interfaces=loopback-only inet_protocols=ipv4 \
      mydestination= default_transport=discard: local_transport=discard: relay_transport=discard: \
      smtpd_sasl_type=dovecot smtpd_sasl_path=outgate/auth.sock smtpd_sasl_auth_enable=yes \
      smtpd_milters=unix:outgate/milter.sock milter_default_action=tempfail \
      smtpd_relay_restrictions=permit_sasl_authenticated,reject && exec postfix start-fg' >/dev/null
in_postfix() { $engine exec "$name-postfix" "$@"; }
await in_postfix sh -c 'swaks --server 127.0.0.1 --quit-after EHLO'
send() {
  in_postfix swaks --server 127.0.0.1 --auth PLAIN --auth-user shop --auth-password "${2:-correct-horse}" \
    --from "$1" --to friend@elsewhere.example 2>&1 || true
}
has "$(send news@example.com)" "250 2.0.0 Ok: queued"
has "$(send ceo@bank.example)" "550 5.7.1 [ACL] Blocked"
has "$(send news@example.com wrong-horse)" "535 5.7.8"

say "a new container with the old data"
$engine stop --time 20 "$name" >/dev/null
has "ended with $($engine inspect --format '{{.State.ExitCode}}' "$name")." "with 0."
$engine rm "$name" >/dev/null
serve
has "$(send news@example.com)" "250 2.0.0 Ok: queued"
has "$(outgate quota show shop --json)" '"used":2'
has "$(outgate log --refused)" "ceo@bank.example"
say "all well"
