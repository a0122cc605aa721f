#!/usr/bin/env python3
"""Reads a page of the book, and does what it shows, inside a room that is thrown away afterwards.

    book.py needs PAGE ...      the Debian packages that the pages want, one a line; complains of pages without commands
    book.py setting PAGE NAME   what stands in the page's comment of that name (bare, wiring, zone), exit status 1 if there is none
    book.py run PAGE [aloud]    runs its commands, writes its files, compares what it shows; aloud: tells what they say

CONTRIBUTING.md describes the pages. It is run by tests/debian/book.sh, on the host and in the room, so it takes nothing but
the modules of Debian's python3-minimal.
"""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

# A command that takes longer hangs.
PATIENCE = 120
PERSON = "ann"
# What only looks may be asked again for a while: logs are written a moment later, and a reader is slower than a test.
LOOKS = re.compile(r"(outgate (--json )?(log|explain|quota show|user (show|list)|domain (show|list)|status)|cat|grep|tail|mailq|fail2ban-client status)\b")
LATE = 5
SETTINGS = ("packages", "offers", "wiring", "bare", "zone", "none")


class Wrong(Exception):
    """A page that cannot be read, or does not show what happens."""


class Command:
    def __init__(self, line, user, text):
        self.line, self.user, self.text = line, user, text
        self.shown = []
        self.status = 0
        # What is typed on the terminal that it then gets.
        self.answer = None
        # A command that the page leaves out of sight.
        self.hidden = False


class File:
    def __init__(self, line, path, append, text):
        self.line, self.path, self.append, self.text = line, path, append, text


class Example:
    """A text of the page for which the host will have another one."""

    def __init__(self, line, text):
        self.line, self.text = line, text


class Page:
    def __init__(self, settings, steps):
        self.settings, self.steps = settings, steps

    def commands(self):
        return [s for s in self.steps if isinstance(s, Command) and not s.hidden]


# ---- reading


def parse(text):
    """The page's settings and steps."""
    reader = Reader(text)
    while reader.rest():
        reader.piece()
    if reader.marks:
        raise Wrong(f"line {reader.at}: a comment about a block, and no block behind it")
    return Page(reader.settings, reader.steps)


class Reader:
    def __init__(self, text):
        self.lines = text.splitlines()
        self.at = 0
        self.settings, self.steps, self.marks = {}, [], {}

    def rest(self):
        return self.at < len(self.lines)

    def take(self):
        self.at += 1
        return self.lines[self.at - 1]

    def piece(self):
        line = self.take()
        fence = re.match(r"( *)(`{3,}|~{3,})\s*([^\s`,]*)", line)
        if fence:
            self.block(self.at, *fence.groups())
        elif line.strip().startswith("<!-- test:"):
            self.comment(line.strip()[len("<!-- test:") :])

    def comment(self, text):
        line = self.at
        while "-->" not in text:
            if not self.rest():
                raise Wrong(f"line {line}: a comment without an end")
            text += "\n" + self.take()
        text, behind = text.split("-->", 1)
        if behind.strip():
            raise Wrong(f"line {self.at}: a comment stands on lines of its own")
        head, _, body = text.strip().partition("\n")
        word, value = re.fullmatch(r"([a-z]+)(?:\s*[=:]\s*(.*))?", head.strip()).groups() if head else ("", "")
        if word == "run":
            command = Command(line, "root", f"(set -e\n{body}\n)")
            command.hidden = True
            self.steps.append(command)
        elif word == "example":
            self.steps.append(Example(line, value))
        elif word in ("status", "answer", "file", "append"):
            self.marks[word] = value
        elif word in SETTINGS:
            self.settings[word] = body if word == "zone" else value or ""
        else:
            raise Wrong(f"line {line}: test: {word}: no such word")

    def block(self, line, indent, fence, language):
        body = []
        while True:
            if not self.rest():
                raise Wrong(f"line {line}: a block without an end")
            text = self.take()
            if text.strip() == fence:
                break
            body.append(text[len(indent) :] if text.startswith(indent) else text.lstrip())
        marks, self.marks = self.marks, {}
        if language == "console":
            self.console(line, body, marks)
        elif "file" in marks or "append" in marks:
            path = marks.get("file") or marks["append"]
            self.steps.append(File(line, path, "append" in marks, "\n".join(body) + "\n"))
        elif marks:
            raise Wrong(f"line {line}: {' and '.join(marks)}: for another kind of block")

    def console(self, line, body, marks):
        commands, goes_on = [], False
        for number, text in enumerate(body, line + 1):
            if goes_on:
                commands[-1].text += "\n" + text
                goes_on = text.endswith("\\")
            elif text[:2] in ("# ", "$ "):
                commands.append(Command(number, "root" if text[0] == "#" else PERSON, text[2:]))
                goes_on = text.endswith("\\")
            elif not commands:
                raise Wrong(f"line {number}: a console block begins with a command")
            elif text[:2] in ("> ", ">") and not commands[-1].shown:
                commands[-1].text += "\n" + text[2:]
            else:
                commands[-1].shown.append(text)
        if not commands:
            raise Wrong(f"line {line}: a console block without a command")
        for command, then in zip(commands, commands[1:]):
            if then.text == "echo $?":
                command.status = None
        if "status" in marks:
            commands[-1].status = "fail" if marks["status"] == "fail" else int(marks["status"])
        commands[-1].answer = marks.get("answer")
        self.steps += commands


# ---- comparing


def plain(line):
    """Widths of columns depend on what else stands in them."""
    return re.sub(r"\s+", " ", line.rstrip())


class Examples:
    """What the page's examples stand for on this host."""

    def __init__(self):
        self.found = {}

    def add(self, text):
        self.found.setdefault(text, None)

    def applied(self, text):
        for example, real in self.found.items():
            if real is not None:
                text = text.replace(example, real)
        return text

    def pattern(self, line):
        """A line of the page as an expression, and the examples that it looks for, by group."""
        groups = {}
        unknown = [e for e, real in self.found.items() if real is None]
        pieces = re.split("(" + "|".join([re.escape(e) for e in unknown] + [r" \.\.\. ", r"\.\.\."]) + ")", plain(self.applied(line)))
        out = ""
        for piece in pieces:
            if piece == "...":
                out += ".*?"
            elif piece == " ... ":
                # Nothing, too.
                out += "(?: .*?)? "
            elif piece in unknown and piece not in groups.values():
                name = f"e{unknown.index(piece)}"
                groups[name] = piece
                out += f"(?P<{name}>\\S+)"
            elif piece in unknown:
                out += f"(?P=e{unknown.index(piece)})"
            else:
                out += re.escape(piece)
        return out, groups

    def compare(self, shown, output):
        """None if the output is what is shown, else the number of lines that still were."""
        lines = "".join(plain(line) + "\n" for line in output.splitlines())
        patterns, groups = [], {}
        for line in shown:
            if line.strip() == "...":
                patterns.append("(?:.*\n)*?")
                continue
            text, names = self.pattern(line)
            for name in list(names):
                # Seen in an earlier line: the same there and here.
                if name in groups:
                    text = text.replace(f"(?P<{name}>\\S+)", f"(?P={name})")
            groups.update(names)
            patterns.append(text + "\n")
        found = re.fullmatch("".join(patterns), lines)
        if found:
            for name, example in groups.items():
                self.found[example] = found.group(name)
            return None
        good = 0
        for count in range(len(patterns) + 1):
            if re.match("".join(patterns[:count]), lines):
                good = count
        return good


# ---- running


class Shell:
    """A bash that runs one command after the other and keeps directory, variables and $?."""

    LOOP = """
    status=0
    while IFS= read -r file; do
      (exit "$status")
      . "$file" >"$file.out" 2>&1 </dev/null
      status=$?
      echo "$status"
    done
    """

    def __init__(self, user):
        self.dir = tempfile.mkdtemp(prefix="page-")
        self.count = 0
        words = ["bash", "-c", self.LOOP]
        environment = dict(os.environ)
        home = "/root"
        if user != "root":
            subprocess.run(["chown", user, self.dir], check=True)
            words = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] + words
            home = f"/home/{user}"
        environment.update(HOME=home, USER=user, LOGNAME=user)
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=home, env=environment, text=True, start_new_session=True
        )

    def run(self, text):
        """Exit status and output."""
        self.count += 1
        path = f"{self.dir}/{self.count}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        self.process.stdin.write(path + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        said = self.process.stdout.readline() if ready else ""
        with open(path + ".out", encoding="utf-8", errors="replace") as file:
            output = file.read()
        if not ready:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise Wrong(f"it did not end within {PATIENCE} s; until then it said:\n{output}")
        if not said:
            raise Wrong(f"it ended the shell, and said:\n{output}")
        return int(said), output


    def close(self):
        self.process.kill()
        self.process.communicate()
        subprocess.run(["rm", "-rf", self.dir], check=True)


class Postfix:
    """Commands return before master has done what they ask; a reader is slower than that, a test is not."""

    LOG = "/var/log/mail.log"
    PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465}

    def __init__(self):
        self.before = self.count()

    def count(self):
        try:
            with open(self.LOG, encoding="utf-8", errors="replace") as log:
                return len(re.findall(r"postfix/master\[\d+\]: (?:reload|daemon started) -- version", log.read()))
        except FileNotFoundError:
            return 0

    def settle(self, text):
        """Waits if the command has Postfix read its configuration."""
        if not re.search(r"\bpostfix (reload|start)\b|\b(reload|restart|start) postfix\b|postfix config .*--(apply|undo)", text):
            return
        optional = "config" in text
        end = time.monotonic() + (1 if optional else 20)
        while self.count() == self.before or not self.listens():
            if time.monotonic() > end:
                if optional:
                    return
                raise Wrong("Postfix has not taken its configuration in")
            time.sleep(0.05)

    def listens(self):
        wanted = set()
        for line in subprocess.run(["postconf", "-M"], capture_output=True, text=True).stdout.splitlines():
            name, kind = line.split()[:2]
            port = name.rsplit(":", 1)[-1]
            if kind == "inet":
                wanted.add(self.PORTS.get(port) or int(port))
        open_ports = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(table, encoding="ascii") as lines:
                for line in list(lines)[1:]:
                    fields = line.split()
                    if fields[3] == "0A":
                        open_ports.add(int(fields[1].rsplit(":", 1)[1], 16))
        return wanted <= open_ports


def write(step, examples):
    os.makedirs(os.path.dirname(step.path), exist_ok=True)
    with open(step.path, "a" if step.append else "w", encoding="utf-8") as file:
        file.write(examples.applied(step.text))


def check(command, status, output, examples):
    wanted = command.status
    if wanted == "fail":
        if status == 0:
            raise Wrong(f"exit status 0 although the page says that it fails\n{output}")
    elif wanted is not None and status != wanted:
        raise Wrong(f"exit status {status}, not {wanted}\n{output}")
    if command.shown:
        # Blank lines at the end of a block are layout.
        while not command.shown[-1].strip():
            command.shown.pop()
        good = examples.compare(command.shown, output)
        if good is not None:
            line = command.shown[good] if good < len(command.shown) else "(nothing more)"
            raise Wrong(f"the page shows, from its line {good + 1} on, what was not said: {line}\n--- said:\n{output}---")


def on_a_terminal(text, answer):
    """The command as one that is answered: what does not end with a new line is its question. ($file is what Shell runs.)"""
    answer, text = ("'" + part.replace("'", "'\\''") + "'" for part in (answer, text))
    asked = 'until [ -n "$(tail -c 1 "$file.out")" ]; do sleep 0.05; done'
    return f"{{ {asked}; printf '%s\\n' {answer}; }} | script -qec {text} /dev/null"


def do(command, text, shell, examples, aloud):
    end = time.monotonic() + LATE
    while True:
        began = time.monotonic()
        status, output = shell.run(text if command.answer is None else on_a_terminal(text, command.answer))
        if aloud:
            took = time.monotonic() - began
            print(f"{'#' if command.user == 'root' else '$'} {text}\n{output}= {status}, {took:.1f} s\n", file=sys.stderr)
        try:
            return check(command, status, output, examples)
        except Wrong:
            if not LOOKS.match(text) or time.monotonic() > end:
                raise
            time.sleep(0.2)


def run(page, aloud):
    """Does it all; the number of commands."""
    shells, examples = {}, Examples()
    try:
        for step in page.steps:
            try:
                take(step, shells, examples, aloud)
            except Wrong as wrong:
                what = f": {step.text}" if isinstance(step, Command) else ""
                raise Wrong(f"line {step.line}{what}\n{wrong}") from None
    finally:
        for shell in shells.values():
            shell.close()
    return len(page.commands())


def take(step, shells, examples, aloud):
    if isinstance(step, Example):
        examples.add(step.text)
    elif isinstance(step, File):
        write(step, examples)
    else:
        if step.user not in shells:
            shells[step.user] = Shell(step.user)
        postfix = Postfix()
        text = examples.applied(step.text)
        do(step, text, shells[step.user], examples, aloud)
        postfix.settle(text)


# ---- words


def read(path):
    with open(path, encoding="utf-8") as file:
        try:
            return parse(file.read())
        except Wrong as wrong:
            raise Wrong(f"{path}: {wrong}") from None


def needs(paths):
    packages = set()
    for path in paths:
        page = read(path)
        for setting in ("packages", "offers"):
            packages.update(filter(None, page.settings.get(setting, "").split(",")))
        if not page.commands() and not page.settings.get("none"):
            raise Wrong(f"{path}: no console block, and no <!-- test: none: REASON -->")
    for package in sorted(packages):
        print(package)


def main(words):
    if words[:1] == ["needs"]:
        needs(words[1:])
    elif words[:1] == ["setting"] and len(words) == 3:
        value = read(words[1]).settings.get(words[2])
        if value is None:
            return 1
        print(value)
    elif words[:1] == ["run"] and len(words) in (2, 3):
        print(run(read(words[1]), words[2:] == ["aloud"]))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(1)
