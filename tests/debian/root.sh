# shellcheck shell=sh disable=SC2034 # what is set here is for the script that sources it
# A throw-away Debian or Ubuntu with Postfix, for tests of what happens on a host. To be sourced, as root:
#
#   . tests/debian/root.sh
#   root_make bookworm [PACKAGE ...]     the bare root, kept below target/debian-roots for a week
#   room_open                            a copy of it to spoil ($root may be layers, upper:lower): own network, processes, mounts and host name
#   inside CMD ...                       runs there as root; standard input and output are the caller's
#   inside_as USER CMD ...               the same as another user
#   room_postfix                         starts Postfix as its own start script does; the log is /var/log/mail.log
#   room_wait 'SHELL CONDITION'          until it holds inside, 30 s at most
#   cp FILE "$room/root/"                $room is its file system, as seen from outside
#   room_close                           ends all that runs there and forgets what was written; also done by a trap
#
# The room is called mail.example.com and has loopback only. Nothing of the host is touched: the room's mounts,
# processes and network end with the one process that holds them, which the kernel ends with the script.
# A script with a trap on EXIT of its own sets it after room_open, and calls room_close in it. POSIX sh.

room_name=mail.example.com
# What every room has beside Postfix: swaks and what it needs for TLS, a certificate's maker, units' tools.
root_base="adduser postfix swaks libnet-ssleay-perl openssl ca-certificates systemd procps man-db iproute2 python3-minimal"
root_store=${ROOT_STORE:-$PWD/target/debian-roots}
room_keeper=
room=

root_fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# Says clearly what is missing, and installs what can be.
root_ready() {
  [ "$(id -u)" = 0 ] || root_fail "a throw-away Debian needs root: run this as root"
  tests/setup.sh mmdebstrap util-linux iproute2
  unshare --mount --net --pid --fork --uts --ipc mount --make-rprivate / 2>/dev/null ||
    root_fail "no namespaces here (unshare fails): run this on a machine or in a container that may make them"
}

# The lines of sources.list for a suite.
root_sources() {
  debian=/usr/share/keyrings/debian-archive-keyring.gpg
  case "$1" in
    bookworm | trixie | forky)
      echo "deb [signed-by=$debian] http://deb.debian.org/debian $1 main"
      echo "deb [signed-by=$debian] http://deb.debian.org/debian $1-updates main"
      echo "deb [signed-by=$debian] http://deb.debian.org/debian-security $1-security main"
      ;;
    jammy | noble)
      ubuntu=$(root_ubuntu_keys)
      echo "deb [signed-by=$ubuntu] http://archive.ubuntu.com/ubuntu $1 main universe"
      echo "deb [signed-by=$ubuntu] http://archive.ubuntu.com/ubuntu $1-updates main universe"
      echo "deb [signed-by=$ubuntu] http://security.ubuntu.com/ubuntu $1-security main universe"
      ;;
    *) root_fail "no such suite: $1; known are bookworm, trixie, jammy, noble" ;;
  esac
}

# The path of Ubuntu's archive keys. Debian 12 has no package of them: the one of Debian 13 is signed by keys that it has.
root_ubuntu_keys() {
  keys=$root_store/ubuntu-keys/usr/share/keyrings/ubuntu-archive-keyring.gpg
  if ! [ -s "$keys" ]; then
    dir=$root_store/ubuntu-keys
    rm -rf "$dir"
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main" >"$dir/sources.list"
    (
      cd "$dir"
      apt="apt-get -qq -o Dir::Etc::sourcelist=$dir/sources.list -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root"
      apt="$apt -o Dir::State::lists=$dir/lists -o Dir::Cache=$dir/cache"
      $apt update && $apt download ubuntu-keyring && dpkg-deb -x ubuntu-keyring_*.deb .
    ) >&2 || root_fail "could not get Ubuntu's archive keys"
    rm -rf "$dir/lists" "$dir/cache"
  fi
  echo "$keys"
}

# root_make SUITE [PACKAGE ...]: sets $root.
root_make() {
  root_suite=$1
  shift
  root_ready
  packages=$(printf '%s\n' $root_base "$@" | sort -u | paste -sd ,)
  mkdir -p "$root_store"
  root=$root_store/$root_suite-$(printf '%s' "$packages" | cksum | cut -d ' ' -f 1)
  # Two scripts that want the same root at the same time make it once.
  exec 9>"$root_store/lock"
  flock 9
  root_sweep
  if ! [ -d "$root" ]; then
    echo "${0##*/}: making a bare $root_suite, once a week" >&2
    root_sources "$root_suite" >"$root.sources"
    rm -rf "$root.partial"
    # Its answers to what packages ask while they are installed: a host name, a Postfix as an Internet site.
    if ! unshare --mount mmdebstrap --mode=root --variant=apt --format=directory --include="$packages" \
      --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' \
      --setup-hook='mkdir -p "$1/usr/sbin"; printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"' \
      --essential-hook="printf 'postfix postfix/mailname string $room_name\npostfix postfix/main_mailer_type select Internet Site\n' | chroot \"\$1\" debconf-set-selections" \
      --customize-hook="chroot \"\$1\" postconf -e myhostname=$room_name" \
      "$root_suite" "$root.partial" - <"$root.sources" >"$root.log" 2>&1; then
      tail -20 "$root.log" >&2
      rm -rf "$root.partial"
      root_fail "could not make a bare $root_suite (is the mirror reachable?)"
    fi
    rm -f "$root.partial"/var/cache/apt/archives/*.deb
    # Whole only from here on.
    mv "$root.partial" "$root"
    touch "$root"
  fi
  exec 9>&-
}

# Roots older than a week, and rooms whose script was killed.
root_sweep() {
  find "$root_store" -maxdepth 1 -name '*-[0-9]*' -type d -mtime +6 -exec rm -rf {} +
  for left in "$root_store"/room.*; do
    owner=${left##*.}
    if [ -d "$left" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$left"; fi
  done
}

# room_open: sets $room. One room at a time.
room_open() {
  if [ -n "$room_keeper" ]; then room_close; fi
  room_place=$root_store/room.$$
  rm -rf "$room_place"
  mkdir -p "$room_place/upper" "$room_place/work" "$room_place/tree"
  trap room_close EXIT
  trap 'exit 130' INT TERM HUP
  mkfifo "$room_place/up"
  # The keeper is process 1 of the room: it waits for orphans, and all others end with it.
  setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --uts --ipc \
    sh -s "$root" "$room_place" "$room_name" >"$room_place/log" 2>&1 <<'KEEPER' &
set -e
root=$1 place=$2 name=$3
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$root,upperdir=$place/upper,workdir=$place/work" "$place/tree" || {
  # A file system that overlays cannot be made on: a copy, from the lowest layer up.
  layers=
  for layer in $(printf %s "$root" | tr : ' '); do layers="$layer $layers"; done
  for layer in $layers; do cp -a "$layer/." "$place/upper"; done
  mount --bind "$place/upper" "$place/tree"
}
cd "$place/tree"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys || true
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
  : >"dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mkdir -m 1777 run/lock
ip link set lo up
hostname "$name"
rm -f etc/resolv.conf
echo 'nameserver 127.0.0.1' >etc/resolv.conf
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s mail\n' "$name" >etc/hosts
echo "$name" >etc/hostname
echo up >"$place/up"
exec chroot . /bin/sh -c 'while :; do sleep 3600 & wait; done' </dev/null >/dev/null 2>&1
KEEPER
  room_holder=$!
  # The keeper says that it is up, or ends.
  if ! timeout 60 cat "$room_place/up" >/dev/null; then
    cat "$room_place/log" >&2
    root_fail "could not open a room"
  fi
  room_keeper=$(cat "/proc/$room_holder/task/$room_holder/children" 2>/dev/null | tr -d ' ')
  [ -n "$room_keeper" ] || room_keeper=$(pgrep -P "$room_holder")
  room=/proc/$room_keeper/root
  room_wait_root
}

# The keeper's root is the room's once it has changed into it.
room_wait_root() {
  for _ in $(seq 600); do
    [ "$(readlink "/proc/$room_keeper/root" 2>/dev/null)" = / ] || return 0
    kill -0 "$room_holder" 2>/dev/null || break
    sleep 0.05
  done
  cat "$room_place/log" >&2
  root_fail "could not open a room"
}

room_close() {
  if [ -n "${room_holder:-}" ]; then
    # Process 1 itself too: systemd-nspawn does not take its own with it.
    kill -9 "$room_holder" $room_keeper 2>/dev/null || true
    wait "$room_holder" 2>/dev/null || true
    room_holder=
    room_keeper=
    room=
  fi
  if [ -n "${room_place:-}" ]; then rm -rf --one-file-system "$room_place"; fi
}

inside() {
  nsenter --target "$room_keeper" --mount --net --pid --uts --ipc --root="/proc/$room_keeper/root" --wd="/proc/$room_keeper/root/root" \
    /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb \
    DEBIAN_FRONTEND=noninteractive "$@"
}

inside_as() {
  room_user=$1
  shift
  inside setpriv --reuid "$room_user" --regid "$room_user" --init-groups "$@"
}

# A condition, in the shell of the room.
room_wait() {
  for _ in $(seq 300); do
    ! inside sh -c "$1" >/dev/null 2>&1 || return 0
    sleep 0.1
  done
  echo "${0##*/}: waited in vain for: $1" >&2
  return 1
}

# By the start script of its package: that copies what smtpd needs into the chroot.
room_postfix() {
  inside sh -c 'postconf -e maillog_file=/var/log/mail.log; newaliases; exec env SYSTEMCTL_SKIP_REDIRECT=1 /etc/init.d/postfix start' >/dev/null || return
  room_wait "postfix status"
}
