#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What many connections, many routes and many blocked handlers cost everybody else.

One server, pinned to the first CPU, its clients on the last: the longest that a client waits
who asks 1000 times a second while 1000 handlers of a route never used before begin to sleep;
CPU per request beside 10 to 10 000 open connections, and with 10 and 1000 routes; memory of an
idle connection and of a sleeping handler; system calls of an idle server. crowd.py [BUILD]
"""
import os, re, select, shutil, signal, socket, statistics, subprocess, sys, time

BUILD = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('BATON_BUILD', 'build')
ROUNDS = int(os.environ.get('BENCH_ROUNDS', 5))
SLEEPERS, RATE, PROBES = 1000, 1000, 3000
CPUS = sorted(os.sched_getaffinity(0))
TICK_US = 1e6 / os.sysconf('SC_CLK_TCK')
GET = b'GET / HTTP/1.1\r\nHost: h\r\n\r\n'


class Server:
    def __init__(self, *command):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            self.port = s.getsockname()[1]
        argv = [word.format(port=self.port) for word in command or (f'{BUILD}/hello', '--listen', '127.0.0.1:{port}')]
        self.proc = subprocess.Popen(['taskset', '-c', str(CPUS[0])] + argv, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while True:
            try:
                return self.connect().close()
            except OSError:
                if self.proc.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f'crowd: {argv[0]} does not listen')
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()

    def connect(self):
        return socket.create_connection(('127.0.0.1', self.port), 30)

    def cpu_us(self):
        with open(f'/proc/{self.proc.pid}/stat') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_US

    def kib(self, what):
        with open(f'/proc/{self.proc.pid}/smaps_rollup') as f:
            return int(re.search(rf'^{what}:\s+(\d+) kB', f.read(), re.M)[1])

    def wrk(self, connections=64, path='/'):
        """CPU microseconds of a request."""
        before = self.cpu_us()
        out = subprocess.run(['taskset', '-c', str(CPUS[-1]), 'wrk', '-t1', f'-c{connections}', '-d2s',
                              f'http://127.0.0.1:{self.port}{path}'], capture_output=True, text=True).stdout
        if 'Non-2xx' in out or 'requests in' not in out:
            raise SystemExit(f'crowd: wrk:\n{out}')
        return (self.cpu_us() - before) / int(re.search(r'(\d+) requests in', out)[1])


def answered(sock):
    sock.settimeout(30)
    return sock.recv(65536).startswith(b'HTTP/1.1 200 ')


# ---- The longest wait ----------------------------------------------------------------------------


def crowd_of_sleepers(port):
    """A process of its own, with less of a claim to the processor than who measures. It begins
    when it reads a line, and ends with the number of those that were served."""
    code = f'''
import os, socket, sys
os.nice(10)
s = [socket.create_connection(("127.0.0.1", {port}), 30) for _ in range({SLEEPERS})]
print("connected", flush=True)
sys.stdin.readline()
for c in s:
    c.sendall(b"GET /sleep/?duration=1s HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
print(sum(c.recv(65536).startswith(b"HTTP/1.1 200 ") for c in s), flush=True)
'''
    p = subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    return p


def probe(server, begin_at, begin):
    """Asks at fixed times, whatever becomes of what was asked before; returns waits in ms, counted from those
    times, and how many were not answered with 200."""
    idle = [server.connect() for _ in range(100)]
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)  # who measures is not what is measured
    except PermissionError:
        pass
    poll, waits, bad, busy, sent = select.epoll(), [], 0, {}, 0
    by_fd = {s.fileno(): s for s in idle}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    idle[-1].sendall(GET)
    answered(idle[-1])  # all that connected before have been accepted, too
    idle[-1].setblocking(True)
    start = time.perf_counter()
    while len(waits) < PROBES:
        now = time.perf_counter()
        while sent < PROBES and idle and start + sent / RATE <= now:
            s = idle.pop()
            s.send(GET)
            busy[s.fileno()] = start + sent / RATE
            sent += 1
            if sent == begin_at:
                begin()
        for fd, _ in poll.poll(0.0005):
            bad += not by_fd[fd].recv(65536).startswith(b'HTTP/1.1 200 ')
            waits.append((time.perf_counter() - busy.pop(fd)) * 1e3)
            idle.append(by_fd[fd])
    for s in by_fd.values():
        s.close()
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    return sorted(waits), bad


def longest_wait():
    print(f'GET / {RATE} times a second, while {SLEEPERS} handlers of a cold route begin to sleep 1 s\n'
          '(nobody: without them, which tells what the machine itself adds):')
    for _ in range(ROUNDS):
        with Server() as server:  # a new one: its threads and its route are cold
            waits = {}
            for what in 'nobody', 'cold', 'again':
                crowd = crowd_of_sleepers(server.port) if what != 'nobody' else None

                def begin():
                    if crowd:
                        crowd.stdin.write('\n')
                        crowd.stdin.flush()

                os.sched_setaffinity(0, {CPUS[-1]})
                ms, bad = probe(server, PROBES // 4, begin)
                os.sched_setaffinity(0, set(CPUS))
                slept = int(crowd.communicate()[0]) if crowd else 0
                waits[what] = f'{what}: p50 {ms[len(ms) // 2]:.2f} p99 {ms[len(ms) * 99 // 100]:.2f} ' \
                              f'max {ms[-1]:.1f} ms, {bad} not 200, {slept} slept'
            print('  ' + '; '.join(waits.values()), flush=True)


# ---- Many of a kind -------------------------------------------------------------------------------


def table(title, figures):
    first = statistics.median(next(iter(figures.values())))
    print(f'{title}: CPU per request, medians of {ROUNDS} rounds by turns')
    for name, us in figures.items():
        print(f'  {name:>8} {statistics.median(us):8.2f} us  ratio {statistics.median(us) / first:.2f}', flush=True)


def connections():
    """Also of the 10 000 some are asked all the time, and they are not always the same."""
    figures = {}
    counts = (10, 100, 1000, 10000)
    with Server() as server:
        for _ in range(ROUNDS):
            for n in counts:
                others = [server.connect() for _ in range(max(0, n - 64))]
                for s in others:
                    s.sendall(GET)
                for s in others:
                    answered(s)
                figures.setdefault(n, []).append(server.wrk(min(n, 64)))
                for s in others:
                    s.close()
    table('Open connections, 64 of them (or all) busy', figures)
    busy = {}
    with Server() as server:
        for _ in range(ROUNDS):
            for n in counts:
                busy.setdefault(n, []).append(server.wrk(n))
    table('Open connections, all of them busy', busy)


def routes():
    exe = f'{BUILD}/tests/bench/routes'
    if not os.path.exists(exe):
        return
    figures = {}
    servers = {n: Server(exe, '127.0.0.1:{port}', str(n)) for n in (10, 1000)}
    try:
        for _ in range(ROUNDS):
            for n, server in servers.items():
                figures.setdefault(n, []).append(server.wrk(64, f'/part/{n - 1}/of/value/here'))
    finally:
        for server in servers.values():
            server.__exit__()
    table('Routes', figures)


# ---- Memory, and peace ------------------------------------------------------------------------------


def memory():
    with Server() as server:
        def settle(socks):
            for s in socks:
                s.sendall(GET)
            for s in socks:
                answered(s)
            return server.kib('Pss')

        settle([server.connect() for _ in range(64)])
        before, n = server.kib('Pss'), 5000
        idle = [server.connect() for _ in range(n)]
        after = settle(idle)
        print(f'An idle keep-alive connection: {(after - before) / n:.1f} KiB (of {n})')
        for s in idle[:SLEEPERS]:
            s.sendall(b'GET /sleep/?duration=3s HTTP/1.1\r\nHost: h\r\n\r\n')
        end = time.monotonic() + 10
        while threads(server) < SLEEPERS and time.monotonic() < end:
            time.sleep(0.01)
        print(f'A sleeping handler: {(server.kib("Pss") - after) / SLEEPERS:.1f} KiB '
              f'(of {SLEEPERS}, {threads(server)} threads)', flush=True)
        for s in idle[:SLEEPERS]:
            answered(s)


def threads(server):
    with open(f'/proc/{server.proc.pid}/status') as f:
        return int(re.search(r'^Threads:\s+(\d+)', f.read(), re.M)[1])


def peace():
    if not shutil.which('strace'):
        return print('strace is not installed: idle system calls not counted')
    with Server() as server:
        with server.connect() as s:
            s.sendall(GET)
            answered(s)
            time.sleep(6)  # the last look at what it has left
            trace = subprocess.Popen(['strace', '-f', '-qq', '-p', str(server.proc.pid)], stderr=subprocess.PIPE, text=True)
            time.sleep(10)
            trace.send_signal(signal.SIGINT)
            calls = [l for l in trace.communicate()[1].splitlines()
                     if ' resumed>' in l or not re.search(r'<unfinished|<detached|strace:', l)]
        trace.stderr.close()
        print(f'An idle server with one idle connection, 10 s: {len(calls)} system calls')
        for line in calls[:10]:
            print('  ' + line)


if __name__ == '__main__':
    if not shutil.which('wrk'):
        print('wrk is not installed: skipped')
    else:
        longest_wait()
        connections()
        routes()
        memory()
        peace()
