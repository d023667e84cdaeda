#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Restarts of eight instances, one at a time and four at a time: how long they take, and what
processor time the supervisor itself needs for them.

Two programs: one that starts and ends at once (hello), which shows what baton costs; and one
that takes 200 ms to start and 200 ms to end, as programs do. surge.py [BUILD]
"""
import json, os, socket, statistics, subprocess, sys, tempfile, time

BUILD = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('BATON_BUILD', 'build')
INSTANCES, RESTARTS = 8, 7
# Says READY=1 by itself after 200 ms, and takes as long to end.
SLOW = '''import os, signal, socket, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
time.sleep(0.2)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
signal.sigwait([signal.SIGTERM])
time.sleep(0.2)
'''


def free_ports(n):
    while True:
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            first = s.getsockname()[1]
        try:
            for port in range(first, first + n):
                with socket.socket() as s:
                    s.bind(('127.0.0.1', port))
            return first
        except (OSError, OverflowError):
            continue


class Baton:
    def __init__(self, tmp, command, surge):
        self.conf = f'{tmp}/baton.conf'
        with open(self.conf, 'w') as f:
            f.write(f'[supervisor]\ncontrol = {tmp}/control\n[service s]\ncommand = {command}\n'
                    f'instances = {INSTANCES}\nsurge = {surge}\nlisten = 127.0.0.1:{free_ports(INSTANCES)}\n')
        self.proc = subprocess.Popen([f'{BUILD}/baton', 'run', '-c', self.conf],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while self.states() != ['ready'] * INSTANCES:
            if time.monotonic() > deadline:
                self.end()
                raise SystemExit(f'{command}: not ready after a minute')
            time.sleep(0.02)

    def states(self):
        out = subprocess.run([f'{BUILD}/baton', 'status', '--json', '-c', self.conf], capture_output=True, text=True)
        if out.returncode != 0:
            return []
        return [i['state'] for s in json.loads(out.stdout)['services'] for i in s['instances']]

    def cpu_ms(self):
        """What its one thread has used, without its children; finer than the ticks of stat."""
        with open(f'/proc/{self.proc.pid}/schedstat') as f:
            return int(f.read().split()[0]) / 1e6

    def restart_ms(self):
        begin = time.monotonic()
        subprocess.run([f'{BUILD}/baton', 'restart', '-c', self.conf], stdout=subprocess.DEVNULL, check=True)
        return (time.monotonic() - begin) * 1000

    def end(self):
        self.proc.terminate()
        self.proc.wait()


def measure(tmp, name, command, surge):
    baton = Baton(tmp, command, surge)
    try:
        before = baton.cpu_ms()
        times = [baton.restart_ms() for _ in range(RESTARTS)]
        cpu = (baton.cpu_ms() - before) / RESTARTS
    finally:
        baton.end()
    print(f'{name:8} {INSTANCES} instances, surge {surge}: {statistics.median(times):7.1f} ms a restart '
          f'(median of {RESTARTS}, {min(times):.1f} to {max(times):.1f}), supervisor {cpu:.1f} ms of CPU', flush=True)


if __name__ == '__main__':
    with tempfile.TemporaryDirectory(prefix='baton-bench-') as tmp:
        slow = f'{tmp}/slow.py'
        with open(slow, 'w') as f:
            f.write(SLOW)
        for name, command in (('hello', f'{os.path.abspath(BUILD)}/hello'), ('slow', f'{sys.executable} {slow}')):
            for surge in (1, 4):
                measure(tmp, name, command, surge)
