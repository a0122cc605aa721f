#!/bin/sh
# The time of the commit that is built, in seconds since 1970: what files of a release are dated by. From git, or
# from packaging/commit in a source tarball.
set -eu
cd "$(dirname "$0")/.."
[ -z "${SOURCE_DATE_EPOCH:-}" ] || {
  echo "$SOURCE_DATE_EPOCH"
  exit
}
read -r _ _ epoch <packaging/commit
case $epoch in
  *[!0-9]*) git log -1 --format=%ct ;;
  *) echo "$epoch" ;;
esac
