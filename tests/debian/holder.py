#!/usr/bin/python3
"""Holds outgate's three sockets as systemd does, and starts the daemon with them, again whenever it has ended.

usage: holder.py DIRECTORY COMMAND ...      run as the daemon's user; SIGTERM ends both
"""

import os
import signal
import socket
import sys

DOORS = ("auth", "policy", "milter")


def bind(path):
    """A listening socket with the mode of the socket units."""
    if os.path.exists(path):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    os.chmod(path, 0o660)
    sock.listen(512)
    return sock


def start(sockets, command):
    """The daemon, with the sockets from descriptor 3 on; its process id."""
    child = os.fork()
    if child:
        return child
    # Out of the way first: their numbers may be the ones that are wanted.
    copies = [os.dup(sock.fileno()) for sock in sockets]
    high = [fd if fd > 9 else os.dup2(fd, 10 + place) for place, fd in enumerate(copies)]
    for place, fd in enumerate(high):
        os.dup2(fd, 3 + place)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(DOORS)), LISTEN_FDNAMES=":".join(DOORS))
    os.execvp(command[0], command)


def main():
    """Until SIGTERM."""
    directory, command = sys.argv[1], sys.argv[2:]
    sockets = [bind(os.path.join(directory, door + ".sock")) for door in DOORS]
    child = None
    ending = False

    def end(_signal, _frame):
        nonlocal ending
        ending = True
        if child:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    while not ending:
        child = start(sockets, command)
        os.waitpid(child, 0)


main()
