#!/bin/sh
# make deb: the Debian package, in target/debian. Prints its path.
#
# Two builds of the same commit on the same system give the same bytes: times are the commit's, and no path
# of the building host gets into the program.
set -eu
cd "$(dirname "$0")/.."
# The modes in the package are the same whoever builds it.
umask 022

tools=$(tests/tool.sh cargo-deb 3.8.0)
SOURCE_DATE_EPOCH=$(packaging/epoch.sh)
export SOURCE_DATE_EPOCH
release=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
home=${CARGO_HOME:-$HOME/.cargo}
export RUSTFLAGS="--remap-path-prefix=$PWD=/outgate --remap-path-prefix=$home=/cargo ${RUSTFLAGS:-}"
# Debug information, which is stripped anyway, names places of the building host, and so does the build id then.
CARGO_PROFILE_RELEASE_DEBUG=0 cargo build --release --locked >&2
unset RUSTFLAGS
rm -rf target/manual
cargo run --quiet --locked --example manual target/manual >&2
gzip -9nc CHANGELOG.md >target/manual/changelog.gz
strip --strip-unneeded -o target/manual/outgate target/release/outgate
cat >target/manual/changelog.Debian <<T
outgate ($release-1) unstable; urgency=medium

  * See /usr/share/doc/outgate/changelog.gz.

 -- the outgate authors <postmaster@outgate.example>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
T

"$tools/cargo-deb" deb --no-build --fast --quiet --output target/debian/raw.deb >&2

# cargo-deb writes no check sums for dpkg --verify: they are added here.
tree=target/debian/tree
rm -rf "$tree" target/debian/outgate_*.deb
dpkg-deb --raw-extract target/debian/raw.deb "$tree"
(
  cd "$tree"
  find usr -type f | LC_ALL=C sort | xargs -d '\n' md5sum >DEBIAN/md5sums
  chmod 644 DEBIAN/md5sums
)
deb=target/debian/outgate_$release-1_$(dpkg --print-architecture).deb
dpkg-deb --root-owner-group -Zxz --build "$tree" target/debian/raw.deb >&2
mv target/debian/raw.deb "$deb"
rm -rf "$tree"
echo "$deb"
