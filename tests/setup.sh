#!/bin/sh
# Installs what the tests and the demonstration need on Debian, and nothing that runs by itself.
#
# usage: tests/setup.sh [PACKAGE ...]        as root, or with sudo at hand
#
# Postfix is installed without a configuration and without a service: a policy-rc.d that forbids
# every start is in place while the packages are unpacked, and what was there before comes back
# afterwards. Nothing is removed to make room (a host with another MTA keeps it and is told so).
# When everything is there already, this takes no time and touches nothing.
set -eu

# gcc and libc6-dev build SQLite and the linker's input; the rest is the mail side:
# libnet-ssleay-perl is what swaks needs for STARTTLS, openssl makes the certificate for it, procps has kill.
wanted="gcc libc6-dev make ca-certificates openssl postfix swaks libnet-ssleay-perl procps $*"

missing=
for package in $wanted; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || {
  echo "setup: missing:$missing; this script installs them on Debian only: install them by hand" >&2
  exit 1
}
as_root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || {
    echo "setup: missing:$missing; run this as root once" >&2
    exit 1
  }
  as_root=sudo
fi
# Only what sudo would drop from the environment has to be on the command line.
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"

guard=/usr/sbin/policy-rc.d
kept=$guard.outgate-setup
restore() {
  $as_root rm -f "$guard"
  # -e is false for a link that leads nowhere, which has to come back as well.
  if [ -e "$kept" ] || [ -L "$kept" ]; then $as_root mv "$kept" "$guard"; fi
}
trap restore EXIT
trap 'exit 130' INT TERM HUP
# A copy that an interrupted run left behind is the original: do not overwrite it.
if [ ! -e "$kept" ] && { [ -e "$guard" ] || [ -L "$guard" ]; }; then $as_root mv "$guard" "$kept"; fi
printf '#!/bin/sh\nexit 101\n' | $as_root tee "$guard" >/dev/null
$as_root chmod 0755 "$guard"

echo "setup: installing$missing" >&2
case "$missing" in
  *" postfix"*)
    printf 'postfix postfix/main_mailer_type select No configuration\n' | $as_root debconf-set-selections
    ;;
esac
# shellcheck disable=SC2086 # lists of words on purpose
install() { $apt install -y --no-install-recommends --no-remove $missing >&2; }
# The lists of a fresh machine are empty, those of an old one name versions that are gone.
$apt update >&2 || echo "setup: the package lists could not be updated, trying with those that are there" >&2
install || {
  echo "setup: could not install$missing (another MTA in the way? it is not removed for a test)" >&2
  exit 1
}
