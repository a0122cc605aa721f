#!/bin/sh
# The two ends of make release; the tests are in between. Publishes nothing.
#
# usage: packaging/release.sh ready      may this commit become the release that Cargo.toml names?
#        packaging/release.sh files      everything that is published, in target/release-files, and what to do next
#
# With REHEARSAL=1 in the environment, what stands in the way of a release is said and no failure.
set -eu
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
tag=v$version
out=target/release-files

refused=0
refuse() {
  echo "release: $1" >&2
  refused=1
}

ready() {
  [ -z "$(git status --porcelain)" ] ||
    refuse "the tree has changes: commit or put away what git status shows"
  cargo metadata --locked --format-version 1 >/dev/null ||
    refuse "Cargo.lock does not fit Cargo.toml: cargo update --workspace"
  case $(sed -n 's/^## //p' CHANGELOG.md | head -1) in
    "$version - "????-??-??) ;;
    Unreleased) refuse "CHANGELOG.md: call the first entry \"## $version - $(date -u +%F)\"" ;;
    *) refuse "CHANGELOG.md: the first entry is not about $version, which Cargo.toml names" ;;
  esac
  tagged=$(git rev-parse --quiet --verify "refs/tags/$tag^{commit}" || true)
  [ -z "$tagged" ] || [ "$tagged" = "$(git rev-parse HEAD)" ] ||
    refuse "$tag is the tag of another commit: raise the version in Cargo.toml"
  if [ "$refused" = 1 ] && [ -z "${REHEARSAL:-}" ]; then exit 1; fi
  echo "release: $version from commit $(git rev-parse --short=12 HEAD)${REHEARSAL:+, a rehearsal}"
}

# pack NAME DIRECTORY: the same archive of the same files.
pack() {
  tar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$epoch" -C "$2" -c . |
    gzip -9n >"$out/$1"
}

files() {
  epoch=$(packaging/epoch.sh)
  rm -rf "$out" target/book
  mkdir -p "$out"
  deb=$(packaging/deb.sh)
  cp "$deb" "$out"
  git archive --format=tar --prefix="outgate-$version/" HEAD | gzip -9n >"$out/outgate-$version.tar.gz"
  packaging/sbom.sh "$out/outgate-$version.cdx.json"
  mdbook=$(tests/tool.sh mdbook 0.5.4 --no-default-features --features search)
  MDBOOK_BUILD__CREATE_MISSING=false "$mdbook/mdbook" build --dest-dir "$PWD/target/book" docs >&2
  pack "outgate-$version-book.tar.gz" target/book
  awk '/^## / { entries += 1 } entries == 1' CHANGELOG.md >"$out/outgate-$version-changes.md"
  (cd "$out" && LC_ALL=C sha256sum outgate* >SHA256SUMS)
  find "$out" -type f -printf '%s\t%f\n' | LC_ALL=C sort -k 2
  cat <<NEXT

release: $out holds outgate $version. Nothing was published. Next:
  git tag -s $tag -m "outgate $version" && git push origin $tag
  gpg --armor --detach-sign $out/SHA256SUMS
  publish all of $out, with outgate-$version-changes.md as the text
  packaging/container/build.sh $out/${deb##*/}      for the container image, where an engine is
NEXT
}

case ${1:-} in
  ready) ready ;;
  files) files ;;
  *)
    sed -n '/^# usage/,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
