#!/bin/sh
# What the program is made of, as CycloneDX 1.5 in JSON: every crate that is compiled into it or builds it, as
# Cargo.lock has them for this target, and the SQLite that is bundled. The same for the same commit, wherever and
# whenever it is made.
#
# usage: packaging/sbom.sh FILE
set -eu
file=$(realpath "$1")
cd "$(dirname "$0")/.."
tests/setup.sh jq

tools=$(tests/tool.sh cargo-cyclonedx 0.5.9)
target=$(rustc -vV | sed -n 's/^host: //p')
work=target/sbom
rm -rf "$work"
mkdir -p "$work"

# It writes beside Cargo.toml, so it gets a copy of what it reads.
mkdir "$work/source"
tar -c --exclude=target --exclude=./.git . | tar -x -C "$work/source"
(cd "$work/source" && SOURCE_DATE_EPOCH=$(../../../packaging/epoch.sh) CARGO_TARGET_DIR=.. \
  "$tools/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --target "$target")

# What cargo really builds. The tool reads `cargo metadata`, which also has what only tests or other features need.
cargo tree --locked --target "$target" --edges normal,build --prefix none --format '{p}' |
  sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/p' | grep -v '^outgate ' | sort -u >"$work/built"
metadata=$(cargo metadata --locked --format-version 1 --filter-platform "$target")
sqlite=$(printf %s "$metadata" | jq -r '.packages[] | select(.name == "libsqlite3-sys").manifest_path')
sqlite=$(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' "${sqlite%/*}/sqlite3/sqlite3.h")
[ -n "$sqlite" ] || {
  echo "sbom: the version of the bundled SQLite was not found" >&2
  exit 1
}
jq --sort-keys --rawfile built "$work/built" --arg here "path+file://$PWD/$work/source#" --arg sqlite "$sqlite" '
  ($built | split("\n")) as $built
  | .components |= map(select("\(.name) \(.version)" | IN($built[])))
  | ([.metadata.component."bom-ref"] + [.components[]."bom-ref"]) as $kept
  | .dependencies |= map(select(.ref | IN($kept[])) | if .dependsOn then .dependsOn |= map(select(IN($kept[]))) else . end)
  # The bundled C library is nobody'"'"'s crate.
  | (.components[] | select(.name == "libsqlite3-sys")."bom-ref") as $crate
  | ("pkg:generic/sqlite@" + $sqlite) as $bundled
  | .components += [{type: "library", "bom-ref": $bundled, name: "sqlite", version: $sqlite, purl: $bundled,
      description: "the database engine in C that libsqlite3-sys bundles", scope: "required",
      licenses: [{license: {name: "blessing (public domain)"}}]}]
  | (.dependencies[] | select(.ref == $crate)).dependsOn |= ((. // []) + [$bundled])
  | .dependencies += [{ref: $bundled}]
  # The program by its name, not by where it was built.
  | walk(if type == "string" and startswith($here) then "pkg:cargo/" + ltrimstr($here) else . end)
  | .metadata.component.purl |= sub("[?].*"; "")
' "$work/source/outgate_bin.cdx.json" >"$file"

# Each crate with the checksum that Cargo.lock has, and none is missing.
jq -r '.components[] | select(.name != "sqlite")
  | "\(.name) \(.version) \(.hashes[0].content)"' "$file" | sort -u >"$work/listed"
awk '/^\[\[package/ { name = version = "" } /^name = / { name = $3 } /^version = / { version = $3 }
  /^checksum = / { gsub(/"/, ""); gsub(/"/, "", name); gsub(/"/, "", version); print name, version, $3 }' Cargo.lock |
  sort >"$work/locked"
grep -F -x -f "$work/locked" "$work/listed" | cut -d' ' -f1,2 | sort -u >"$work/right"
diff -u "$work/built" "$work/right" >&2 || {
  echo "sbom: it lacks a crate that is built, or has one that differs from Cargo.lock (the lines above)" >&2
  exit 1
}
! grep -qF -e "$PWD" -e "$HOME/" "$file" || {
  echo "sbom: it names a place on this host" >&2
  exit 1
}
echo "sbom: $(wc -l <"$work/right") crates and SQLite $sqlite"
