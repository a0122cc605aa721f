#!/usr/bin/env python3
"""Interleaved runs of null servers, outgate and peers: medians, ratios, CPU, memory. See README.md."""
import argparse, json, os, pwd, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, "peers")
started = []          # every process of ours, stopped by PID at the end


def sh(cmd):
    return subprocess.run(cmd, shell=True, capture_output=True, text=True).stdout.strip()


def fill(name, target, **values):
    """Copies a file from peers/, @KEY@ replaced."""
    text = open(os.path.join(PEERS, name)).read()
    for k, v in values.items():
        text = text.replace(f"@{k}@", str(v))
    with open(target, "w") as f:
        f.write(text)
    return target


def ready(addr, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if addr.startswith("unix:"):
                s = socket.socket(socket.AF_UNIX)
                s.connect(addr[5:])
            else:
                host, port = addr.split(":")[1:]
                s = socket.create_connection((host, int(port)), 1)
            s.close()
            return
        except OSError:
            time.sleep(0.002)
    raise RuntimeError(f"nothing answers at {addr}")


class Server:
    def __init__(self, argv, addr=None, env=None, private_dns=False):
        log = open(os.path.join(RUN, "server.log"), "ab")
        if private_dns:   # the peer's resolver reads /etc/resolv.conf: give it ours, and only it
            inner = " ".join(f"'{a}'" for a in argv)
            argv = ["unshare", "-m", "sh", "-c", f"mount --bind {RUN}/resolv.conf /etc/resolv.conf && exec {inner}"]
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=RUN,
                                  env={**os.environ, "BENCH_RUN": RUN, **(env or {})})
        self.pid = self.p.pid
        started.append(self)
        if addr:
            ready(addr)

    def stop(self):
        if self.p.poll() is None:
            self.p.terminate()
            try:
                self.p.wait(10)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        if self in started:
            started.remove(self)


class Daemon:
    """A server that insists on forking itself away and leaves a PID file."""
    def __init__(self, argv, addr, pidfile):
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ready(addr)
        self.pid = int(open(pidfile).read())
        started.append(self)

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        for _ in range(100):
            if not os.path.exists(f"/proc/{self.pid}"):
                break
            time.sleep(0.1)
        if self in started:
            started.remove(self)


def bench(*args, timeout=None):
    try:
        r = subprocess.run([f"{BIN}/ogbench", *map(str, args)], capture_output=True, text=True, timeout=timeout or (30 if args[0] == "idle" else A.seconds + 70))
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"ogbench {args[0]}: not finished in time") from None
    if not r.stdout.startswith("{"):
        raise RuntimeError(f"ogbench {' '.join(map(str, args))}: {r.stderr.strip()}")
    if r.stderr:
        print("# " + r.stderr.splitlines()[0], file=sys.stderr)
    return json.loads(r.stdout)


def fsync_rate(seconds=0.1):
    """fdatasync/s right now: the disk is shared, and durable servers stand and fall with it."""
    path = os.path.join(RUN, "fsync.dat")
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    n, start = 0, time.time()
    while time.time() - start < seconds:
        os.write(fd, b"x" * 4096)
        os.fdatasync(fd)
        n += 1
    os.close(fd)
    return n / (time.time() - start)


class Subject:
    """One line of a table. `run()` measures once and returns ogbench's result."""
    def __init__(self, name, version, run, kind="peer"):
        self.name, self.version, self.run, self.kind = name, version, run, kind   # kind: null | physical | outgate | peer | other
        self.results = {}


def interleave(title, subjects, rounds=None):
    """Every round measures every subject once, in turning order; the first subject is the null one.
    A run disturbed by other processes (more than half a core) is repeated, at most --retries times."""
    print(f"\n## {title}\n", flush=True)
    for rnd in range(rounds or A.rounds):
        order = subjects if rnd % 2 == 0 else subjects[::-1]
        for s in order:
            try:
                best = None
                for _ in range(1 + A.retries):
                    f = fsync_rate()
                    r = s.run()
                    r["fsync"] = f
                    if best is None or r.get("foreign_cores", 0) < best.get("foreign_cores", 0):
                        best = r
                    if best.get("foreign_cores", 0) < 0.5:
                        break
                s.results[rnd] = best
            except (RuntimeError, subprocess.SubprocessError, OSError) as e:
                print(f"# {s.name}: {e}", file=sys.stderr)
    null = subjects[0]
    med = lambda v: statistics.median(v) if v else 0
    ms = lambda us: f"{us / 1000:.1f} ms" if us >= 10000 else f"{us:.0f} µs"
    best_peer = max([med([r["rate"] for r in s.results.values()]) for s in subjects if s.kind == "peer"], default=0)
    print("| subject | version | rate/s (min–max) | ÷ null (min–max) | ÷ best peer | p50 | p99 | max | CPU µs/op | CPU ÷ null | RSS MiB (PSS) | procs | fsync/s | foreign cores | errors | mistakes | answers |")
    print("|" + "---|" * 17)
    rows = []
    for s in subjects:
        rs = list(s.results.values())
        if not rs:
            continue
        m = lambda k: med([r.get(k, 0) for r in rs])
        pair = [(r, null.results[k]) for k, r in s.results.items() if k in null.results]
        ratios = [a["rate"] / b["rate"] for a, b in pair if b["rate"]]
        cpus = [a["cpu_us_per"] / b["cpu_us_per"] for a, b in pair if a.get("cpu_us_per") and b.get("cpu_us_per")]
        answers = {}
        for r in rs:
            for k, v in r["answers"].items():
                answers[k] = answers.get(k, 0) + v
        rates = [r["rate"] for r in rs]
        row = dict(name=s.name, version=s.version, kind=s.kind, rate=med(rates), rate_min=min(rates), rate_max=max(rates), ratio_null=med(ratios),
                   ratio_best_peer=med(rates) / best_peer if best_peer else 0, p50_us=m("p50_us"), p99_us=m("p99_us"), max_us=max(r.get("max_us", 0) for r in rs),
                   cpu_us=m("cpu_us_per"), cpu_ratio_null=med(cpus), rss_kib=max(r.get("rss_kib", 0) for r in rs), pss_kib=m("pss_kib"), processes=m("processes"),
                   fsync=m("fsync"), foreign_cores=m("foreign_cores"), errors=sum(r["errors"] for r in rs), mistakes=sum(r["mistakes"] for r in rs), answers=answers)
        rows.append(row)
        span = f"({min(ratios):.3g}–{max(ratios):.3g})" if ratios else ""
        print(f"| {s.name} | {s.version} | {row['rate']:.0f} ({min(rates):.0f}–{max(rates):.0f}) | {row['ratio_null']:.3g} {span} | {row['ratio_best_peer']:.3g} | "
              f"{ms(row['p50_us'])} | {ms(row['p99_us'])} | {ms(row['max_us'])} | {row['cpu_us']:.1f} | {row['cpu_ratio_null']:.3g} | "
              f"{row['rss_kib'] / 1024:.0f} ({row['pss_kib'] / 1024:.0f}) | {row['processes']:.0f} | {row['fsync']:.0f} | {row['foreign_cores']:.2f} | "
              f"{row['errors']} | {row['mistakes']} | {' '.join(f'{k}={v}' for k, v in answers.items())} |", flush=True)
    return rows


def version(package):
    return sh(f"dpkg-query -W -f '${{Version}}' {package} 2>/dev/null").split("-")[0].split(":")[-1]


def have(name, *paths):
    ok = all(shutil.which(p) or os.path.exists(p) for p in paths)
    if ONLY and name not in ONLY:
        return False
    if not ok:
        print(f"# {name}: not installed here, left out", file=sys.stderr)
    return ok


def null(kind, addr, *extra):
    return Server([f"{BIN}/ogbench", "null", kind, "--listen", addr, *map(str, extra)], None if addr.startswith("udp") else addr)


def mkdir(name, owner=None):
    d = os.path.join(RUN, name)
    os.makedirs(d, exist_ok=True)
    if owner:
        shutil.chown(d, owner, owner)
    return d


def login(i):
    return f"user{i:05d}@d{i % 20:03d}.test"


def domain(i):
    return f"d{i % 20:03d}.test"


def argon2id(m=19456, t=2):
    return sh(f"{BIN}/oglimits hash --password secret --m {m} --t {t}")


# ---------------------------------------------------------------- servers under test

class Outgate:
    """outgate through outgate.sh: one instance with all three listeners."""
    def __init__(self, users=1000, profile="full"):
        self.d = mkdir(f"outgate-{users}-{profile}")
        hashed = argon2id()
        with open(f"{self.d}/users.tsv", "w") as f:
            f.writelines(f"{login(i)}\t{hashed}\t192.0.2.0/24\t{domain(i)}\t1000000\n" for i in range(users))
        t = time.time()
        subprocess.run([f"{HERE}/outgate.sh", "seed", self.d, str(users), profile], check=True)
        self.seed_s = time.time() - t
        t = time.time()
        self.server = Server([f"{HERE}/outgate.sh", "start", self.d, str(users), profile], f"unix:{self.d}/policy.sock")
        self.start_s = time.time() - t
        self.pid = self.server.pid
        self.version = sh("$OUTGATE --version").split(" ")[1]

    def addr(self, kind):
        return f"unix:{self.d}/{kind}.sock"


running = {}


def outgate(users=1000, profile="full"):
    """One instance per number of users and profile, started when the last one has ended."""
    if not os.environ.get("OUTGATE") or (ONLY and "outgate" not in ONLY):
        return None
    key = users, profile
    if key not in running or running[key].server not in started:
        running[key] = Outgate(users, profile)
    return running[key]


def start_postfwd(cmd, port, domains=20):
    d = mkdir(f"{cmd}-{domains}", "postfw")
    with open(f"{d}/rules.cf", "w") as f:
        for i in range(domains):
            f.write(open(f"{PEERS}/postfwd-domain.cf.in").read().replace("@D@", f"{i:03d}"))
        f.write(open(f"{PEERS}/postfwd-quota.cf").read())
    argv = [f"/usr/sbin/{cmd}", "--daemon", "--norulelog", "--nodns", f"--file={d}/rules.cf", "--interface=127.0.0.1", f"--port={port}",
            "--user=postfw", "--group=postfw", f"--pidfile={d}/pid", "--cache=0", "--summary=600"]
    if cmd == "postfwd2":
        argv += [f"--cache_port={port + 1}", f"--cache_socket=tcp:127.0.0.1:{port + 1}", f"--save_rates={d}/rates"]
    return Daemon(argv, f"inet:127.0.0.1:{port}", f"{d}/pid")


def start_prl():
    d = mkdir("policyd-rate-limit")
    return Server(["/usr/bin/python3", "/usr/bin/policyd-rate-limit", "-f", fill("policyd-rate-limit.yaml.in", f"{d}/conf.yaml", RUN=d)], "inet:127.0.0.1:2712")


def start_redis(save=""):
    d = mkdir("redis")
    return Server(["redis-server", fill("rspamd/redis.conf.in", f"{d}/redis.conf", RUN=d, SAVE=save)], "inet:127.0.0.1:2692")


def start_rspamd(users=1000):
    d = mkdir(f"rspamd-{users}")
    conf = fill("rspamd/rspamd.conf.in", f"{d}/rspamd.conf", RUN=d)
    open(f"{d}/empty.lua", "w").write('require "global_functions" ()\n')
    with open(f"{d}/owners.map", "w") as f:
        f.writelines(f"{login(i)}:{domain(i)}\n" for i in range(users))
    sh(f"chown -R _rspamd {d}")
    s = Server(["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", conf], "inet:127.0.0.1:2720")
    time.sleep(3 + users / 200_000)   # its workers come up later than the socket
    return s


def start_dovecot(scheme, cache="0", users=1000, driver="passwd-file"):
    d = mkdir(f"dv-{scheme}-{cache}-{users}-{driver}")
    args = {"passwd-file": f"username_format=%u {d}/users", "sql": f"{d}/sql.conf"}[driver]
    conf = fill("dovecot.conf.in", f"{d}/dovecot.conf", RUN=d, CACHE=cache, DRIVER=driver, ARGS=args)
    secret = {"plain": "{PLAIN}secret", "argon2id": "{ARGON2ID}" + argon2id()}.get(scheme) or sh(f"doveadm pw -s {scheme} -p secret")
    if driver == "sql":
        import sqlite3
        db = sqlite3.connect(f"{d}/users.db")
        db.execute("CREATE TABLE users(login TEXT PRIMARY KEY, password TEXT) WITHOUT ROWID")
        db.executemany("INSERT INTO users VALUES(?,?)", ((login(i), secret) for i in range(users)))
        db.commit()
        db.close()
        open(f"{d}/sql.conf", "w").write(f"driver = sqlite\nconnect = {d}/users.db\npassword_query = SELECT login AS user, password FROM users WHERE login = '%u'\n")
        sh(f"chmod -R a+rwX {d}")
    else:
        with open(f"{d}/users", "w") as f:
            f.writelines(f"{login(i)}:{secret}::::::\n" for i in range(users))
    return Server(["dovecot", "-F", "-c", conf], f"unix:{d}/auth-client"), f"unix:{d}/auth-client"


def start_spf_milter():
    d = mkdir("spf-milter")
    s = Server([SPF_MILTER, "-c", fill("spf-milter.conf.in", f"{d}/conf", RUN=d)], f"unix:{d}/spfm.sock", private_dns=True)
    os.chmod(f"{d}/spfm.sock", 0o666)   # smtpd is not root
    return s, f"unix:{d}/spfm.sock"


class Postfix:
    """A private instance with one smtpd port per way of asking."""
    def __init__(self, ports):
        self.d = mkdir("postfix")
        for sub in ("queue", "data", "conf"):
            mkdir(f"postfix/{sub}", "postfix" if sub == "data" else None)
        fill("postfix/policyd-spf.conf", f"{self.d}/policyd-spf.conf")
        fill("postfix/main.cf.in", f"{self.d}/conf/main.cf", RUN=self.d)
        lines = "\n".join(f"127.0.0.1:{p} inet n - n - 100 smtpd {o}" for p, o in ports)
        fill("postfix/master.cf.in", f"{self.d}/conf/master.cf", RUN=self.d, SMTPD=lines)
        check = subprocess.run(["postfix", "-c", f"{self.d}/conf", "check"], capture_output=True, text=True)
        if check.stderr.strip():
            print(check.stderr.strip(), file=sys.stderr)
        sh(f"unshare -m sh -c 'mount --bind {RUN}/resolv.conf /etc/resolv.conf && postfix -c {self.d}/conf start'")
        self.pid = int(open(f"{self.d}/queue/pid/master.pid").read())
        started.append(self)
        ready(f"inet:127.0.0.1:{ports[0][0]}")
        time.sleep(2)   # let it settle

    def stop(self):
        sh(f"postfix -c {self.d}/conf stop")
        if self in started:
            started.remove(self)

    def drain(self):
        """Waits until the last run's messages have left the queue."""
        for _ in range(200):
            if not sh(f"find {self.d}/queue/active {self.d}/queue/incoming {self.d}/queue/maildrop -type f | head -1"):
                return
            time.sleep(0.1)


# ---------------------------------------------------------------- who takes part

def common(conns=None, users=None, seconds=None):
    return ["--connections", conns or A.connections, "--seconds", seconds or A.seconds, "--warmup", A.warmup, "--users", users or A.users, "--domains", 20]


def policy_servers(peers=True):
    """(name, version, address, pids, kind) of everything that speaks the policy protocol"""
    u = null("policy", f"unix:{RUN}/np.sock")
    yield "null (unix)", "", f"unix:{RUN}/np.sock", [u.pid], "null"
    n = null("policy", "inet:127.0.0.1:2700")
    yield "null (inet)", "", "inet:127.0.0.1:2700", [n.pid], "physical"
    for sync in ("FULL", "NORMAL"):
        c = null("policy", f"unix:{RUN}/nc{sync}.sock", "--charge", f"{RUN}/charge-{sync}.db", "--sync", sync)
        yield f"null + durable charge, sync={sync}", "", f"unix:{RUN}/nc{sync}.sock", [c.pid], "physical"
    o = outgate()
    if o:
        yield "outgate", o.version, o.addr("policy"), [o.pid], "outgate"
    if not peers:
        return
    for cmd, port in (("postfwd1", 2718), ("postfwd2", 2710)):
        if have(cmd, f"/usr/sbin/{cmd}"):
            s = start_postfwd(cmd, port)
            yield cmd, version("postfwd"), f"inet:127.0.0.1:{port}", [s.pid], "peer"
    if have("policyd-rate-limit", "/usr/bin/policyd-rate-limit"):
        s = start_prl()
        yield "policyd-rate-limit (Python, SQLite)", version("policyd-rate-limit"), "inet:127.0.0.1:2712", [s.pid], "peer"
    if have("policyd-spf", "/usr/bin/policyd-spf", "/usr/sbin/postfix"):
        null("dns", "udp:127.77.0.53:53")
        pf = Postfix([(2600, "")])
        yield "policyd-spf (spawn; SPF, no quota)", version("postfix-policyd-spf-python"), "inet:127.0.0.1:2716", [pf.pid], "other"


def auth_servers():
    n = null("auth", f"unix:{RUN}/na.sock")
    yield "null", "", f"unix:{RUN}/na.sock", [n.pid], "null", A.users
    o = outgate()
    if o:
        yield "outgate, 32 users (cached)", o.version, o.addr("auth"), [o.pid], "outgate", 32
        yield "outgate, all users", o.version, o.addr("auth"), [o.pid], "outgate", A.users
    if have("dovecot", "dovecot"):
        # a passwd-file is checked in the one auth process, SQL in auth workers (all cores); a cache hit still verifies the hash
        for scheme, cache, users, driver in (("plain", "0", A.users, "passwd-file"), ("plain", "10M", A.users, "passwd-file"), ("argon2id", "10M", 32, "passwd-file"),
                                             ("argon2id", "0", 32, "sql"), ("SHA512-CRYPT", "0", A.users, "passwd-file")):
            s, a = start_dovecot(scheme, cache, driver=driver)
            yield f"dovecot {scheme}, cache {cache}" + (", SQLite" if driver == "sql" else ""), version("dovecot-core"), a, [s.pid], "peer", users


def milter_servers():
    l = null("milter", f"unix:{RUN}/nml.sock", "--protocol", LEAN)
    yield "null, lean", "", f"unix:{RUN}/nml.sock", [l.pid], "null"
    n = null("milter", f"unix:{RUN}/nm.sock")
    yield "null, every event", "", f"unix:{RUN}/nm.sock", [n.pid], "physical"
    c = null("milter", f"unix:{RUN}/nmc.sock", "--protocol", LEAN, "--charge", f"{RUN}/charge-m.db")
    yield "null, lean + durable charge", "", f"unix:{RUN}/nmc.sock", [c.pid], "physical"
    e = Server([f"{BIN}/empty_milter", f"unix:{RUN}/empty.sock"], f"unix:{RUN}/empty.sock")
    yield "indymilter, empty", "", f"unix:{RUN}/empty.sock", [e.pid], "physical"
    o = outgate()
    if o:
        yield "outgate", o.version, o.addr("milter"), [o.pid], "outgate"
    if have("spf-milter", SPF_MILTER):
        null("dns", "udp:127.77.0.53:53")
        s, a = start_spf_milter()
        yield "spf-milter (indymilter)", sh(f"{SPF_MILTER} --version | head -1").split()[-1], a, [s.pid], "peer"
    if have("rspamd", "rspamd", "redis-server"):
        r, s = start_redis(), start_rspamd()
        yield "rspamd + redis", version("rspamd"), f"unix:{RUN}/rspamd-1000/milter.sock", [s.pid, r.pid], "peer"


# mail, rcpt, headers, eom are answered or seen; connect, helo, data, eoh, body not sent; headers need no answer
LEAN = "0x%x" % (0x1 | 0x2 | 0x200 | 0x40 | 0x10 | 0x80)


# ---------------------------------------------------------------- suites

def policy(states="RCPT", title="policy: lone RCPT requests", peers=True):
    subjects = []
    for name, ver, addr, pids, kind in policy_servers(peers):
        def run(addr=addr, pids=pids, kind=kind):
            judge = ["--foreign-pct", 10, "--verify"] if kind == "outgate" and A.verify else []
            return bench("policy", "--to", addr, *common(), "--states", states, "--pid", ",".join(map(str, pids)), *judge)
        subjects.append(Subject(name, ver, run, kind))
    return interleave(f"{title}, {A.connections} connections", subjects)


def any_domain():
    """Mode any-domain with warm caches beside mode default: the ratio of the two lines is what SPF costs then."""
    subjects = []
    nothing = null("policy", f"unix:{RUN}/na.sock")
    name_server = "127.0.0.1:2753"
    null("dns", f"udp:{name_server}")
    os.environ["BENCH_DNS"] = name_server
    lines = [("null", f"unix:{RUN}/na.sock", nothing.pid, "null")]
    for profile, name in (("full", "outgate, default"), ("any", "outgate, any-domain")):
        o = outgate(profile=profile)
        if o:
            lines.append((name, o.addr("policy"), o.pid, "outgate"))
    for name, addr, pid, kind in lines:
        def run(addr=addr, pid=pid):
            return bench("policy", "--to", addr, *common(), "--states", "RCPT", "--pid", pid)
        subjects.append(Subject(name, "", run, kind))
    return interleave(f"mode any-domain: lone RCPT requests, {A.connections} connections", subjects)


def message():
    return policy("RCPT,DATA,END-OF-MESSAGE", "policy: messages as RCPT + DATA + END-OF-MESSAGE (rate of requests)")


def charge():
    """Every request is a new message at DATA: one durable charge each (the peers count elsewhere)."""
    return policy("DATA", "policy: lone DATA requests, a durable charge each", peers=False)


def paced():
    """Latency at a load far below the ceiling: 2,000 durable charges a second."""
    subjects = []
    for name, ver, addr, pids, kind in policy_servers(peers=False):
        def run(addr=addr, pids=pids):
            return bench("policy", "--to", addr, *common(), "--states", "DATA", "--rate", 2000, "--pid", ",".join(map(str, pids)))
        subjects.append(Subject(name, ver, run, kind))
    return interleave(f"latency at 2,000 requests/s (DATA), {A.connections} connections", subjects)


def storm():
    """Logins with known passwords at 200/s while 64 connections try wrong ones, for other users from other addresses."""
    subjects = []
    servers = [s for s in auth_servers() if s[0] == "null" or s[0].startswith(("outgate, 32", "dovecot argon2id", "dovecot plain, cache 0"))]
    for name, ver, addr, pids, kind, _ in servers:
        def run(addr=addr, pids=pids):
            bg = subprocess.Popen([f"{BIN}/ogbench", "auth", "--to", addr, "--connections", "64", "--seconds", str(A.seconds + A.warmup + 2), "--first-user", "100", "--users", "100", "--domains", "20",
                                   "--wrong-pct", "100", "--rate", "2000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                time.sleep(1)
                r = bench("auth", "--to", addr, *common(conns=8, users=32), "--rate", 200, "--pid", ",".join(map(str, pids)))
                return {**r, "foreign_cores": 0}   # the storm itself
            finally:
                try:
                    bg.wait(30)
                except subprocess.TimeoutExpired:
                    bg.kill()
                    bg.wait()
        subjects.append(Subject(name, ver, run, kind))
    return interleave("auth: 200 right logins/s during 2,000 wrong ones/s on 64 connections", subjects)


def flood():
    """Policy at 2,000/s while 500 connections try wrong passwords as fast as they can."""
    o = outgate()
    n = null("policy", f"unix:{RUN}/np.sock")
    subjects = [Subject("null", "", lambda: bench("policy", "--to", f"unix:{RUN}/np.sock", *common(), "--rate", 2000, "--pid", n.pid), "null")]

    def run():
        bg = subprocess.Popen([f"{BIN}/ogbench", "auth", "--to", o.addr("auth"), "--connections", "500", "--seconds", str(A.seconds + A.warmup + 2), "--first-user", "100",
                               "--users", "800", "--domains", "20", "--wrong-pct", "100"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            r = bench("policy", "--to", o.addr("policy"), *common(), "--rate", 2000, "--pid", o.pid)
            return {**r, "foreign_cores": 0}   # the flood itself
        finally:
            bg.kill()
            bg.wait()
    if o:
        subjects.append(Subject("outgate, 500 wrong logins at a time", o.version, run, "outgate"))
    return interleave("policy at 2,000 requests/s (RCPT) during a flood of wrong logins", subjects)


def auth():
    subjects = []
    for name, ver, addr, pids, kind, users in auth_servers():
        def run(addr=addr, pids=pids, users=users):
            return bench("auth", "--to", addr, *common(users=users), "--pid", ",".join(map(str, pids)))
        subjects.append(Subject(name, ver, run, kind))
    return interleave(f"auth: AUTH PLAIN, right passwords, {A.connections} connections", subjects)


def milter():
    rows = []
    servers = list(milter_servers())
    for per in (1, 10):
        subjects = []
        for name, ver, addr, pids, kind in servers:
            def run(addr=addr, pids=pids, kind=kind):
                judge = ["--foreign-pct", 10, "--verify"] if kind == "outgate" and A.verify else []
                return bench("milter", "--to", addr, *common(), "--per-conn", per, "--pid", ",".join(map(str, pids)), *judge)
            subjects.append(Subject(name, ver, run, kind))
        rows += [{**r, "per_conn": per} for r in interleave(f"milter: {per} message(s) per session, {A.connections} sessions at a time", subjects)]
    return rows


def postfix():
    pol = lambda a, where="recipient": "-o {smtpd_%s_restrictions=check_policy_service %s}" % (where, a)
    mil = lambda a: f"-o smtpd_milters={a}"
    sasl = lambda a: f"-o smtpd_sasl_auth_enable=yes -o smtpd_sasl_path={a}"
    unix = lambda n: f"unix:{RUN}/{n}.sock"
    a0, p0, pc = null("auth", unix("na")), null("policy", unix("np")), null("policy", unix("nc"), "--charge", f"{RUN}/c1.db")
    m0, ml = null("milter", unix("nm")), null("milter", unix("nml"), "--protocol", LEAN)
    mc = null("milter", unix("nmc"), "--protocol", LEAN, "--charge", f"{RUN}/c2.db")
    na = sasl(unix("na")) + " "
    rows = [("Postfix alone", "", "null", []), ("null auth", na, "physical", [a0]),
            ("null auth + null policy at RCPT", na + pol(unix("np")), "physical", [a0, p0]),
            ("null auth + null policy at RCPT, durable charge at DATA", na + pol(unix("np")) + " " + pol(unix("nc"), "data"), "physical", [a0, p0, pc]),
            ("null auth + null milter, every event", na + mil(unix("nm")), "physical", [a0, m0]),
            ("null auth + null milter, lean", na + mil(unix("nml")), "physical", [a0, ml]),
            ("null auth + null milter, lean, durable charge", na + mil(unix("nmc")), "physical", [a0, mc])]
    o = outgate()
    if o:
        oa = sasl(o.addr("auth")) + " "
        rows += [("outgate auth", oa, "outgate", [o]),
                 ("outgate auth + policy at RCPT and DATA", oa + pol(o.addr("policy")) + " " + pol(o.addr("policy"), "data"), "outgate", [o]),
                 ("outgate auth + milter", oa + mil(o.addr("milter")), "outgate", [o])]
    if have("dovecot", "dovecot"):
        d, a = start_dovecot("argon2id", "10M")
        rows.append(("dovecot auth (argon2id)", sasl(a), "other", [d]))
        d, a = start_dovecot("plain", "0")
        rows.append(("dovecot auth (plain)", sasl(a), "other", [d]))
    for cmd, port in (("postfwd1", 2718), ("postfwd2", 2710)):
        if have(cmd, f"/usr/sbin/{cmd}"):
            rows.append((f"null auth + {cmd} at RCPT", na + pol(f"inet:127.0.0.1:{port}"), "peer", [a0, start_postfwd(cmd, port)]))
    if have("policyd-rate-limit", "/usr/bin/policyd-rate-limit"):
        rows.append(("null auth + policyd-rate-limit at RCPT", na + pol("inet:127.0.0.1:2712"), "peer", [a0, start_prl()]))
    null("dns", "udp:127.77.0.53:53")
    # no quotas, and they let loopback clients pass at once: shown, but nobody's rival
    if have("policyd-spf", "/usr/bin/policyd-spf"):
        rows.append(("null auth + policyd-spf at RCPT", na + pol("inet:127.0.0.1:2716"), "other", [a0]))
    if have("spf-milter", SPF_MILTER):
        s, a = start_spf_milter()
        rows.append(("null auth + spf-milter", na + mil(a), "other", [a0, s]))
    if have("rspamd", "rspamd", "redis-server"):
        r, s = start_redis(), start_rspamd()
        rows.append(("null auth + rspamd milter + redis, unix", na + mil(f"unix:{RUN}/rspamd-1000/milter.sock"), "peer", [a0, r, s]))
        rows.append(("null auth + rspamd milter + redis, inet", na + mil("inet:127.0.0.1:2720"), "peer", [a0, r, s]))
    pf = Postfix([(2600 + i, row[1]) for i, row in enumerate(rows)])
    subjects = []
    for i, (name, o, kind, servers) in enumerate(rows):
        def run(port=2600 + i, o=o, servers=servers):
            cred = ["--password", "secret"] if o else []
            r = bench("smtp", "--to", f"inet:127.0.0.1:{port}", "--connections", A.sessions, "--seconds", A.seconds, "--warmup", 0.5, "--per-conn", A.per_conn,
                      "--users", 32, "--domains", 20, "--pid", ",".join(str(s.pid) for s in [pf, *servers]), *cred)
            pf.drain()
            return r
        subjects.append(Subject(name, version("postfix") if i == 0 else "", run, kind))
    return interleave(f"Postfix: messages/s of 4 KiB, {A.sessions} sessions of {A.per_conn} messages, CPU and memory of Postfix and the daemons", subjects)


def connections():
    """How rate, p99 and memory grow with the number of connections."""
    rows = []
    groups = [("policy", [(n, a, p, []) for n, _, a, p, _ in policy_servers() if "spawn" not in n and "NORMAL" not in n and "inet" not in n and n != "postfwd2"])]
    groups.append(("auth", [(n, a, p, ["--users", 32]) for n, _, a, p, _, _ in auth_servers() if n.startswith(("null", "outgate, 32", "dovecot plain, cache 0", "dovecot argon2id, cache 10M"))]))
    groups.append(("milter", [(n, a, p, []) for n, _, a, p, _ in milter_servers()]))
    print("\n## connections\n\n| protocol | subject | connections | rate/s | p50 µs | p99 µs | CPU µs/op | PSS MiB | errors |\n|---|---|---|---|---|---|---|---|---|", flush=True)
    failed = set()
    for proto, servers in groups:
        for n in (1, 10, 100, 500, 1000):
            for name, addr, pids, extra in servers:
                rs = []
                if (proto, name) in failed:
                    continue
                for _ in range(A.rounds if A.rounds < 3 else 2):
                    try:
                        base = [x for x in common(conns=n, seconds=min(A.seconds, 1.5))]
                        if extra:
                            i = base.index("--users")
                            base[i:i + 2] = extra
                        rs.append(bench(proto, "--to", addr, *base, "--pid", ",".join(map(str, pids)), timeout=15))
                    except RuntimeError as e:
                        print(f"# {name} at {n}: {e}", file=sys.stderr)
                        failed.add((proto, name))
                        break
                if rs:
                    r = max(rs, key=lambda r: r["rate"])
                    rows.append({"protocol": proto, "name": name, **r})
                    print(f"| {proto} | {name} | {n} | {r['rate']:.0f} | {r['p50_us']:.0f} | {r['p99_us']:.0f} | {r.get('cpu_us_per', 0):.1f} | {r.get('pss_kib', 0) / 1024:.1f} | {r['errors']} |", flush=True)
    return rows


def users():
    """How cost and memory grow with the number of users (postfwd: rules)."""
    rows = []
    print("\n## users\n\n| subject | users | start s | rate/s (min–max) | p50 µs | p99 µs | CPU µs/op | RSS MiB |\n|---|---|---|---|---|---|---|---|", flush=True)
    sizes = [int(n) for n in A.sizes.split(",")]



    def group(name, proto, make, sizes=sizes, extra=()):
        live = []
        for n in sizes:
            try:
                t = time.time()
                addr, pids, stop, took = make(n)
                live.append((n, addr, pids, stop, time.time() - t if took is None else took))
            except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                print(f"# {name} with {n}: {e}", file=sys.stderr)
        results = {n: [] for n, *_ in live}
        for _ in range(A.rounds):
            for n, addr, pids, _, _ in live:
                try:
                    results[n].append(bench(proto, "--to", addr, *common(users=n), "--pid", ",".join(map(str, pids)), *extra))
                except RuntimeError as e:
                    print(f"# {name} with {n}: {e}", file=sys.stderr)
        for n, _, _, stop, start in live:
            rs = results[n]
            for s in stop:
                s.stop()
            if rs:
                m = lambda k: statistics.median(r.get(k, 0) for r in rs)
                rates = [r["rate"] for r in rs]
                rows.append(dict(name=name, users=n, start_s=start, rate=m("rate"), p50_us=m("p50_us"), p99_us=m("p99_us"), cpu_us=m("cpu_us_per"), rss_kib=m("rss_kib")))
                print(f"| {name} | {n} | {start:.2f} | {m('rate'):.0f} ({min(rates):.0f}–{max(rates):.0f}) | {m('p50_us'):.0f} | {m('p99_us'):.0f} | {m('cpu_us_per'):.1f} | {m('rss_kib') / 1024:.0f} |", flush=True)

    def charge(n):
        s = null("policy", f"unix:{RUN}/u{n}.sock", "--charge", f"{RUN}/u{n}.db", "--rows", n)
        return f"unix:{RUN}/u{n}.sock", [s.pid], [s], None
    group("null + durable charge (rows)", "policy", charge)
    if os.environ.get("OUTGATE"):
        made = {}

        def og(kind):
            def make(n):
                o = made[n] = outgate(n)
                return o.addr(kind), [o.pid], [o.server], o.start_s
            return make
        group("outgate policy", "policy", og("policy"))
        group("outgate auth", "auth", og("auth"))
        group("outgate milter", "milter", og("milter"))
    if have("dovecot", "dovecot"):
        for driver in ("passwd-file", "sql"):
            def make(n):
                s, a = start_dovecot("plain", "0", n, driver)
                bench("auth", "--to", a, "--connections", 1, "--requests", 1, "--users", 1)
                return a, [s.pid], [s], None
            group(f"dovecot auth, {'SQLite' if driver == 'sql' else driver}, {{PLAIN}}", "auth", make)
    if have("postfwd1", "/usr/sbin/postfwd1"):
        ports = iter(range(2730, 2740))

        def make(n):
            p = next(ports)
            s = start_postfwd("postfwd1", p, n)
            return f"inet:127.0.0.1:{p}", [s.pid], [s], None
        group("postfwd1 (rules)", "policy", make, [20, 200, 2000])
    if have("rspamd", "rspamd", "redis-server"):
        r = start_redis()
        for n in sizes:   # one port, so one size at a time
            def make(n):
                s = start_rspamd(n)
                return "inet:127.0.0.1:2720", [s.pid], [s], None
            group("rspamd milter (owners map)", "milter", make, [n])
        r.stop()
    return rows


def idle():
    """Memory per idle connection."""
    rows = []
    print("\n## idle connections\n\n| protocol | subject | connections | KiB per connection | PSS before → after MiB |\n|---|---|---|---|---|", flush=True)
    for proto, servers in (("policy", policy_servers), ("auth", auth_servers), ("milter", milter_servers)):
        for name, _, addr, pids, *_ in servers():
            n = 5000 if name.startswith(("null", "outgate")) else 500
            if name == "postfwd2" or "spawn" in name or "NORMAL" in name or "SHA512" in name:   # postfwd2 serves few connections at a time
                continue
            try:
                r = bench("idle", proto, "--to", addr, "--connections", n, "--pid", ",".join(map(str, pids)))
            except RuntimeError as e:
                print(f"# {name}: {e}", file=sys.stderr)
                continue
            rows.append({"protocol": proto, "name": name, **r})
            print(f"| {proto} | {name} | {n} | {r['kib_per_conn']:.1f} | {r['pss_before_kib'] / 1024:.1f} → {r['pss_after_kib'] / 1024:.1f} |", flush=True)
    return rows


def start():
    """Cold start: from exec to the first answer, and memory then."""
    rows, todo = [], []
    todo.append(("null policy", "policy", lambda: (null("policy", f"unix:{RUN}/cs.sock"), f"unix:{RUN}/cs.sock")))
    if have("dovecot", "dovecot"):
        todo.append(("dovecot auth", "auth", lambda: start_dovecot("plain")))
    if have("postfwd1", "/usr/sbin/postfwd1"):
        todo.append(("postfwd1", "policy", lambda: (start_postfwd("postfwd1", 2718), "inet:127.0.0.1:2718")))
        todo.append(("postfwd2", "policy", lambda: (start_postfwd("postfwd2", 2710), "inet:127.0.0.1:2710")))
    if have("policyd-rate-limit", "/usr/bin/policyd-rate-limit"):
        todo.append(("policyd-rate-limit", "policy", lambda: (start_prl(), "inet:127.0.0.1:2712")))
    if have("spf-milter", SPF_MILTER):
        todo.append(("spf-milter", "milter", lambda: start_spf_milter()))
    print("\n## cold start\n\n| subject | seconds to the first answer (min–max) | PSS MiB |\n|---|---|---|", flush=True)
    if os.environ.get("OUTGATE"):
        for n in [int(n) for n in A.sizes.split(",")]:
            o = outgate(n)
            o.server.stop()
            todo.append((f"outgate, {n} users", "policy", lambda o=o, n=n: (Server([f"{HERE}/outgate.sh", "start", o.d, str(n)], f"unix:{o.d}/policy.sock"), o.addr("policy"))))
    for name, proto, make in todo:
        took, pss = [], 0
        for _ in range(max(A.rounds, 3)):
            t = time.time()
            s, addr = make()
            bench(proto, "--to", addr, "--connections", 1, *(["--messages", 1] if proto == "milter" else ["--requests", 1]), "--users", 1)
            took.append(time.time() - t)
            pss = bench("sample", "--pid", s.pid, "--seconds", 0.1).get("pss_kib", 0)
            s.stop()
            time.sleep(0.2)
        rows.append(dict(name=name, seconds=statistics.median(took), pss_kib=pss))
        print(f"| {name} | {statistics.median(took):.3f} ({min(took):.3f}–{max(took):.3f}) | {pss / 1024:.1f} |", flush=True)
    return rows


def limits():
    print("\n## limits of this machine\n\n```", flush=True)
    out = sh(f"{BIN}/oglimits all --dir {RUN}/limits --seconds {min(A.seconds, 1)}")
    print(out + "\n```", flush=True)
    return out.splitlines()


def stop_all():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)   # a second signal must not leave daemons behind
    for s in reversed(list(started)):
        try:
            s.stop()
        except Exception as e:
            print(f"# stop: {e}", file=sys.stderr)


SUITES = {f.__name__.replace("_", "-"): f for f in (limits, policy, any_domain, charge, message, paced, auth, storm, flood, milter, postfix, connections, users, idle, start)}
parser = argparse.ArgumentParser(description=__doc__, epilog="suites: " + " ".join(SUITES) + " all")
parser.add_argument("suites", nargs="+", choices=[*SUITES, "all"], metavar="SUITE")
parser.add_argument("--bin", help="where ogbench and oglimits are (default: built here)")
parser.add_argument("--peers", default=os.environ.get("OGBENCH_PEERS", ""), help="DIR given to peers/install.sh")
parser.add_argument("--only", default="", help="peers to take part, e.g. postfwd2,dovecot,outgate (default: all that are installed)")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--retries", type=int, default=1, help="repeat a run that other processes disturbed, at most so often")
parser.add_argument("--seconds", type=float, default=2)
parser.add_argument("--warmup", type=float, default=0.5)
parser.add_argument("--connections", type=int, default=16)
parser.add_argument("--users", type=int, default=1000)
parser.add_argument("--sizes", default="1000,100000,1000000", help="numbers of users in the suite `users`")
parser.add_argument("--sessions", type=int, default=10, help="SMTP sessions at a time (postfix)")
parser.add_argument("--per-conn", type=int, default=10, help="messages per SMTP session (postfix)")
parser.add_argument("--verify", action="store_true", help="10 %% foreign senders, outgate's answers are judged")
parser.add_argument("--out", default=os.path.join(HERE, "results"), help="directory of the JSON")
A = parser.parse_args()
ONLY = [x for x in A.only.split(",") if x]
PEER_DIR = os.path.abspath(A.peers) if A.peers else "/nonexistent"
SPF_MILTER = f"{PEER_DIR}/spf-milter/bin/spf-milter"
BIN = A.bin
if not BIN:
    target = os.environ.setdefault("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
    subprocess.run(["cargo", "build", "--quiet", "--release", "--manifest-path", f"{HERE}/Cargo.toml"], check=True)
    BIN = f"{target}/release"
if os.environ.get("OUTGATE"):
    os.environ["OUTGATE"] = os.path.abspath(os.environ["OUTGATE"])

RUN = tempfile.mkdtemp(prefix="ogb")
os.chmod(RUN, 0o755)
open(f"{RUN}/resolv.conf", "w").write("nameserver 127.77.0.53\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
print(f"# {time.strftime('%F %T')}  {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {A.rounds} rounds of {A.seconds} s, {A.connections} connections", flush=True)
result = {"when": time.strftime("%F %T"), "args": vars(A), "cores": os.cpu_count()}
try:
    for g in list(SUITES) if "all" in A.suites else A.suites:
        try:
            result[g] = SUITES[g]()
        finally:
            stop_all()
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
finally:
    os.makedirs(A.out, exist_ok=True)
    with open(os.path.join(A.out, time.strftime("%Y%m%d-%H%M%S-") + A.suites[0] + ".json"), "w") as f:
        json.dump(result, f, indent=1)
    shutil.copy(f"{RUN}/server.log", os.path.join(A.out, "server.log")) if os.path.exists(f"{RUN}/server.log") else None
    shutil.rmtree(RUN, ignore_errors=True)
