#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Restarts under load: baton beside a Go server under grace and nginx (-s reload).

Each is restarted every 500 ms while clients that never retry keep their connections. What
cannot run here is skipped with a notice. restart.py [BUILD]
"""
import asyncio, collections, json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

BUILD = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('BATON_BUILD', 'build')
HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS, GAP, RESTARTS, EVERY = 40, 0.01, 9, 0.5
PAIRS, PAIR_SECONDS, IDLE = 5, 20, 1000


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def await_port(port, patience=10):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f'nothing listens on port {port}')


class Server:
    """One contender: start it, restart it, end it."""
    def __init__(self, tmp):
        self.tmp, self.port, self.proc = tmp, free_port(), None

    def run(self, *argv, **kw):
        self.proc = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
        await_port(self.port)

    def end(self):
        if self.proc:
            self.proc.terminate()
            self.proc.wait()


class Baton(Server):
    name = 'baton'

    def start(self):
        self.control = ['--control', f'{self.tmp}/baton.sock']
        self.run(f'{BUILD}/baton', 'run', *self.control, '--instances', '1', '--listen',
                 f'127.0.0.1:{self.port}', '--', f'{BUILD}/hello')

    def restart(self):
        return subprocess.Popen([f'{BUILD}/baton', 'restart', *self.control], stdout=subprocess.DEVNULL)


class Grace(Server):
    name = 'Go + grace'

    def start(self):
        exe = f'{self.tmp}/grace'
        env = dict(os.environ, GO111MODULE='off', GOPATH='/usr/share/gocode', GOCACHE=f'{self.tmp}/go')
        if not shutil.which('go') or subprocess.run(['go', 'build', '-o', exe, f'{HERE}/grace.go'], env=env,
                                                    stderr=subprocess.DEVNULL).returncode:
            raise FileNotFoundError('go, or its package facebookgo/grace')
        self.run(exe, f'127.0.0.1:{self.port}')

    def newest(self):
        """The process that listens now: each restart is a child of the one before."""
        pid = self.proc.pid
        out = subprocess.run(['pgrep', '-n', '-f', f'^{self.tmp}/grace'], capture_output=True, text=True).stdout
        return int(out) if out.strip() else pid

    def restart(self):
        os.kill(self.newest(), signal.SIGUSR2)

    def end(self):
        os.kill(self.newest(), signal.SIGTERM)
        self.proc.wait()


class Nginx(Server):
    name = 'nginx'

    def start(self):
        exe = shutil.which('nginx') or shutil.which('nginx', path='/usr/sbin')
        if not exe:
            raise FileNotFoundError('nginx')
        conf = f'{self.tmp}/nginx.conf'
        with open(conf, 'w') as f:
            f.write(f'daemon off; pid {self.tmp}/nginx.pid; error_log {self.tmp}/nginx.err; worker_processes 1;\n'
                    'events { worker_connections 1024; }\n'
                    f'http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {self.tmp}; '
                    f'server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 "hello\\n"; }} }} }}\n')
        self.run(exe, '-c', conf, '-e', f'{self.tmp}/nginx.err')

    def restart(self):
        self.proc.send_signal(signal.SIGHUP)


async def answer(reader):
    head = (await reader.readuntil(b'\r\n\r\n')).lower()
    length = re.search(rb'content-length: *(\d+)', head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head.startswith(b'http/1.1 2'), b'connection: close' in head


async def client(port, request, end, n):
    reader = writer = None
    first = True
    while time.monotonic() < end:
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection('127.0.0.1', port)
                n['reopened'] += not first
                first = False
        except OSError:
            n['refused'] += 1
            await asyncio.sleep(GAP)
            continue
        try:
            writer.write(request)
            good, close = await asyncio.wait_for(answer(reader), 30)
            n['ok' if good else 'bad'] += 1
        except (asyncio.IncompleteReadError, asyncio.TimeoutError, OSError):
            n['failed'] += 1
            close = True
        if close:
            writer.close()
            writer = None
        await asyncio.sleep(GAP)
    if writer:
        writer.close()


async def strict(server, request):
    n = collections.Counter()
    end = time.monotonic() + (RESTARTS + 1) * EVERY
    clients = [asyncio.create_task(client(server.port, request, end, n)) for _ in range(CLIENTS)]
    for _ in range(RESTARTS):
        await asyncio.sleep(EVERY)
        server.restart()
    await asyncio.gather(*clients)
    return n


def wrk(server, seconds, restarts):
    load = subprocess.Popen(['wrk', '-t1', '-c64', f'-d{seconds}s', '--latency', f'http://127.0.0.1:{server.port}/'],
                            stdout=subprocess.PIPE, text=True)
    for _ in range(restarts):
        time.sleep(seconds / (restarts + 1))
        server.restart()
    out = load.communicate()[0]
    errors = re.search(r'connect (\d+), read (\d+), write (\d+), timeout (\d+)', out)
    p99 = re.search(r'99%\s+([\d.]+)(us|ms|s)', out)
    unit = {'us': 1e-3, 'ms': 1, 's': 1e3}
    return sum(map(int, errors.groups())) if errors else 0, float(p99[1]) * unit[p99[2]]


def contend(kind):
    with tempfile.TemporaryDirectory(prefix='baton-bench-') as tmp:
        server = kind(tmp)
        try:
            server.start()
        except FileNotFoundError as e:
            print(f'{kind.name:12} skipped: {e} is not installed')
            return
        get = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
        post = b'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n' + b'x' * 10000
        try:
            for what, request in (('GET', get), ('POST 10 kB', post)):
                if what != 'GET' and kind is Nginx:
                    continue  # it has no echo
                n = asyncio.run(strict(server, request))
                print(f'{kind.name:12} {what:10} {RESTARTS} restarts: ok {n["ok"]}, failed {n["failed"]}, '
                      f'refused {n["refused"]}, reopened {n["reopened"]}, other statuses {n["bad"]}', flush=True)
            if shutil.which('wrk'):
                print(f'{kind.name:12} wrk -c64   11 restarts: socket errors {wrk(server, 6, 11)[0]}', flush=True)
                if kind is Baton:
                    pairs(server)
        finally:
            server.end()


def pairs(server):
    """Quiet and shaken by turns, each long enough for a restart to be no more than a part of it."""
    ratios, errors = [], 0
    for _ in range(PAIRS):
        quiet = wrk(server, PAIR_SECONDS, 0)[1]
        e, shaken = wrk(server, PAIR_SECONDS, int(PAIR_SECONDS / EVERY) - 1)
        errors += e
        ratios.append(shaken / quiet)
    print(f'{server.name:12} p99 with a restart every {EVERY} s / without: median {statistics.median(ratios):.2f} of '
          f'{", ".join(f"{r:.2f}" for r in ratios)} ({PAIRS} pairs of {PAIR_SECONDS} s), socket errors {errors}', flush=True)


def events(server):
    out = subprocess.run([f'{BUILD}/baton', 'events', '--json', '--no-follow', '-n', 'all', *server.control],
                         capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def farewell():
    """From SIGTERM to the end of an instance with idle connections, which move to its successor."""
    with tempfile.TemporaryDirectory(prefix='baton-bench-') as tmp:
        server = Baton(tmp)
        server.start()
        try:
            idle = [socket.create_connection(('127.0.0.1', server.port), 10) for _ in range(IDLE)]
            for s in idle:
                s.sendall(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
            for s in idle:
                s.recv(4096)
            for _ in range(RESTARTS):
                server.restart().wait()
            for s in idle:
                s.sendall(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
            alive = sum(s.recv(4096).startswith(b'HTTP/1.1 200') for s in idle)
            # The old one gets its SIGTERM at the moment in which its successor is ready.
            at = {(e['event'], e.get('generation')): e['time_unix_ms'] for e in events(server)}
            times = [at['drained', g] - at['ready', g + 1] for g in range(1, RESTARTS + 1)]
        finally:
            server.end()
    print(f'{Baton.name:12} from an instance\'s SIGTERM to its end, {IDLE} idle connections: median '
          f'{statistics.median(times):.0f} ms, most {max(times):.0f} ms of {RESTARTS}; {alive} of them answer', flush=True)


if __name__ == '__main__':
    for contender in (Baton, Grace, Nginx):
        contend(contender)
    farewell()
