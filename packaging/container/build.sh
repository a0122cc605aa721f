#!/bin/sh
# Builds the container image from the Debian package, with podman, docker or buildah.
#
# usage: packaging/container/build.sh [PACKAGE] [OPTION of the engine's build ...]
#        PACKAGE: a .deb; without it, make deb builds one. The image is called outgate:VERSION.
#
# ENGINE=podman|docker chooses one; --build-arg POSTFIX_GID=… is the number of Postfix's group where Postfix runs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
  *.deb)
    package=$(realpath "$1")
    shift
    ;;
  *) package=$here/../../$("$here/../deb.sh") ;;
esac
engine=${ENGINE:-}
for candidate in podman docker; do
  [ -z "$engine" ] && command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1 && engine=$candidate
done
[ -n "$engine" ] || {
  echo "container: neither podman nor docker answers here" >&2
  exit 1
}
version=$(dpkg-deb --field "$package" Version)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp "$package" "$context/outgate.deb"
$engine build --file "$here/Containerfile" --tag "outgate:${version%-*}" "$@" "$context"
