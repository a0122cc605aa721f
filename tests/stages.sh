#!/bin/sh
# Makes stages one after the other, each a target `stage-NAME` of the Makefile, and prints how long each took.
# The first one that fails ends it; so does its exit status.
#
# usage: tests/stages.sh WHAT STAGE...        WHAT: how the whole is called in what is printed
#
# With FROM=STAGE in the environment, it goes on with that one: for those who have mended what failed there.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 1 ] || {
  echo "stages: none were named" >&2
  exit 2
}
what=$1
shift

# Seconds as minutes with one digit behind the point.
minutes() { printf '%d.%d' $(($1 / 60)) $(($1 % 60 / 6)); }
now() { date +%s; }

case " $* " in
  *" ${FROM:-$1} "*) ;;
  *)
    echo "stages: there is no stage $FROM here: $*" >&2
    exit 2
    ;;
esac
while [ "${FROM:-$1}" != "$1" ]; do shift; done

began=$(now)
table=
failed=0
for stage in "$@"; do
  echo "$what: $stage"
  since=$(now)
  ${MAKE:-make} --no-print-directory "stage-$stage" || failed=$?
  took=$(minutes $(($(now) - since)))
  outcome=
  [ "$failed" = 0 ] || outcome="  FAILED"
  table=$table$(printf '%-20s %6s min%s' "$stage" "$took" "$outcome")'
'
  [ "$failed" = 0 ] || break
done
printf '\n%s' "$table"
printf '%-20s %6s min\n' "$what, in all" "$(minutes $(($(now) - began)))"
[ "$failed" = 0 ] || {
  echo "$what: stage $stage failed. It alone: make stage-$stage; from there on: make $what FROM=$stage" >&2
  exit "$failed"
}
