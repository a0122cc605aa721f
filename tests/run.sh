#!/bin/sh
# make run: a daemon for development. State, sockets and configuration live below target/run; the configuration is made once and
# kept, so change it as you like.
set -eu
cd "$(dirname "$0")/.."
dir=$PWD/target/run
mkdir -p "$dir"
[ -e "$dir/outgate.toml" ] || cat >"$dir/outgate.toml" <<TOML
[store]
url = "sqlite:$dir/outgate.db"

[listen]
auth = "unix:$dir/auth.sock"
policy = "unix:$dir/policy.sock"
milter = "unix:$dir/milter.sock"

[log]
level = "debug"
TOML
echo "commands: target/debug/outgate -c target/run/outgate.toml ..." >&2
exec target/debug/outgate -c "$dir/outgate.toml" serve
