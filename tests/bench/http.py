#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time of a request, and what is left for others beside handlers that compute.

Servers side by side, pinned to the first CPU, loaded in turn by wrk on the last one: the
example program, libmicrohttpd alone (raw_mhd) and Go's net/http (http.go). What cannot run here
is skipped with a notice. http.py [BUILD]; BENCH_ROUNDS (7) and BENCH_SECONDS (2) a round.
"""
import os, re, shutil, socket, statistics, subprocess, sys, time

BUILD = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('BATON_BUILD', 'build')
HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = int(os.environ.get('BENCH_ROUNDS', 7))
SECONDS = int(os.environ.get('BENCH_SECONDS', 2))
CONNECTIONS, BURNERS, BURNER_ROUNDS, BURNER_SECONDS = 64, 4, 5, 3
CPUS = sorted(os.sched_getaffinity(0))
TICK_US = 1e6 / os.sysconf('SC_CLK_TCK')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """A process that listens, pinned to the first CPU."""

    def __init__(self, name, command):
        self.name, self.port = name, free_port()
        argv = [word.format(port=self.port) for word in command]
        self.proc = subprocess.Popen(['taskset', '-c', str(CPUS[0])] + argv, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        self.burners = []
        end = time.monotonic() + 10
        while True:
            try:
                return self.connect().close()
            except OSError:
                if self.proc.poll() is not None or time.monotonic() > end:
                    self.end()
                    raise SystemExit(f'http: {name} does not listen')
                time.sleep(0.02)

    def connect(self):
        return socket.create_connection(('127.0.0.1', self.port), 10)

    def cpu_us(self):
        """User and system time of all its threads so far, also of those that ended."""
        with open(f'/proc/{self.proc.pid}/stat') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_US

    def burn(self):
        """Handlers that compute for as long as the measurement takes; returns when they do."""
        before = self.cpu_us()
        for _ in range(BURNERS):
            s = self.connect()
            s.sendall(b'GET /spin/?duration=60s HTTP/1.1\r\nHost: h\r\n\r\n')
            self.burners.append(s)
        while self.cpu_us() < before + 200000:
            time.sleep(0.02)

    def end(self):
        for s in self.burners:
            s.close()
        self.proc.kill()
        self.proc.wait()


def wrk(server, seconds):
    """Requests answered, and the 99th percentile of the time that took, in ms."""
    out = subprocess.run(['taskset', '-c', str(CPUS[-1]), 'wrk', '-t1', f'-c{CONNECTIONS}', f'-d{seconds}s',
                          '--latency', f'http://127.0.0.1:{server.port}/'], capture_output=True, text=True).stdout
    n = re.search(r'(\d+) requests in', out)
    p99 = re.search(r'99%\s+([\d.]+)(us|ms|s|m)', out)
    failed = re.search(r'Non-2xx or 3xx responses: (\d+)', out)
    if n is None or p99 is None or failed is not None:
        raise SystemExit(f'http: wrk at {server.name}:\n{out}')
    return int(n[1]), float(p99[1]) * {'us': 1e-3, 'ms': 1, 's': 1e3, 'm': 6e4}[p99[2]]


def contenders():
    """Commands by name, the yardstick first."""
    out = {}
    if os.path.exists(f'{BUILD}/tests/bench/raw_mhd'):
        out['libmicrohttpd'] = [f'{BUILD}/tests/bench/raw_mhd', '{port}']
    out['baton'] = [f'{BUILD}/hello', '--listen', '127.0.0.1:{port}']
    exe = f'{BUILD}/tests/bench/http_go'
    env = dict(os.environ, GO111MODULE='off', GOCACHE=os.path.abspath(f'{exe}.cache'))
    if shutil.which('go') and subprocess.run(['go', 'build', '-o', exe, f'{HERE}/http.go'], env=env).returncode == 0:
        out['Go net/http'] = [exe, '127.0.0.1:{port}']
    else:
        print('Go is not installed: measured without')
    return out


def cpu_per_request(commands):
    servers = [Server(*c) for c in commands.items()]
    us, rate = {s.name: [] for s in servers}, {s.name: [] for s in servers}
    try:
        for s in servers:
            wrk(s, 1)  # warm
        for _ in range(ROUNDS):
            for s in servers:
                begin, before = time.monotonic(), s.cpu_us()
                n = wrk(s, SECONDS)[0]
                us[s.name].append((s.cpu_us() - before) / n)
                rate[s.name].append(n / (time.monotonic() - begin))
    finally:
        for s in servers:
            s.end()
    first = servers[0].name
    print(f'GET /, {CONNECTIONS} connections: medians of {ROUNDS} rounds by turns, {SECONDS} s each')
    print(f'{"":16}{"us CPU/request":>16}{"ratio":>8}{"(least, most)":>16}{"requests/s":>12}')
    for name, figures in us.items():
        ratios = [a / b for a, b in zip(figures, us[first])]
        spread = f'({min(ratios):.2f}, {max(ratios):.2f})'
        print(f'{name:16}{statistics.median(figures):16.2f}{statistics.median(ratios):8.2f}{spread:>16}'
              f'{statistics.median(rate[name]):12.0f}', flush=True)


def beside_burners(commands):
    names = [n for n in commands if n != 'libmicrohttpd']  # there all others would stall
    requests, p99 = {n: [] for n in names}, {n: [] for n in names}
    for _ in range(BURNER_ROUNDS):
        for name in names:
            s = Server(name, commands[name])
            try:
                s.burn()
                n, ms = wrk(s, BURNER_SECONDS)
                requests[name].append(n)
                p99[name].append(ms)
            finally:
                s.end()
    print(f'{BURNERS} handlers burn CPU on the same core: other requests in {BURNER_SECONDS} s, '
          f'medians of {BURNER_ROUNDS} rounds by turns')
    print(f'{"":16}{"requests":>16}{"ratio":>8}{"p99 ms":>9}{"(least, most)":>18}')
    for name in names:
        ratio = statistics.median(requests[name]) / statistics.median(requests[names[-1]])
        spread = f'({min(p99[name]):.1f}, {max(p99[name]):.1f})'
        print(f'{name:16}{statistics.median(requests[name]):16.0f}{ratio:8.2f}'
              f'{statistics.median(p99[name]):9.1f}{spread:>18}')


if __name__ == '__main__':
    if not shutil.which('wrk'):
        print('wrk is not installed: skipped')
    else:
        if len(CPUS) < 2:
            print('there is one CPU: the load takes its share of it')
        all_of_them = contenders()
        cpu_per_request(all_of_them)
        beside_burners(all_of_them)
