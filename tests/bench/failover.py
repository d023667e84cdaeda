#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Failover: from SIGKILL of an instance under load to the first answer on its port.

With a spare and without, of hello as it is and of one that takes 300 ms to start. Each death
is a first crash (quiet_time_ms = 0). failover.py [BUILD]
"""
import json, multiprocessing, os, shlex, signal, socket, statistics, subprocess, sys, tempfile, threading, time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.environ.get('BATON_BUILD', 'build'))
RUNS, CLIENTS, GAP = 20, 6, 0.002
REQUEST = b'GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'


def free_ports():
    """Two in a row, outside of the range of outgoing connections."""
    for port in range(20000, 30000, 2):
        try:
            for p in (port, port + 1):
                with socket.socket() as s:
                    s.bind(('127.0.0.1', p))
            return port
        except OSError:
            pass
    raise SystemExit('no two free ports')


def ask(port, patience=30):
    """One request on a connection of its own; the answer's body, None if it broke off."""
    with socket.create_connection(('127.0.0.1', port), patience) as s:
        s.settimeout(patience)
        s.sendall(REQUEST)
        data = b''
        while True:
            try:
                more = s.recv(4096)
            except ConnectionResetError:
                return None
            if not more:
                return data.split(b'\r\n\r\n', 1)[1].decode() if b'\r\n\r\n' in data else None
            data += more


def load(port, end, out):
    """Clients that open a connection for each request, and never retry."""
    n = {'ok': 0, 'refused': 0, 'broken': 0}

    def client():
        while not end.is_set():
            try:
                n['ok' if ask(port) else 'broken'] += 1
            except ConnectionRefusedError:
                n['refused'] += 1
            except OSError:
                n['broken'] += 1
            time.sleep(GAP)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    out.put((port, n))


class Baton:
    def __init__(self, tmp, command, spares):
        self.port, self.conf, self.spares = free_ports(), f'{tmp}/baton.conf', spares
        with open(self.conf, 'w') as f:
            f.write(f'[supervisor]\ncontrol = {tmp}/sock\n[service s]\ncommand = {command}\ninstances = 2\n'
                    f'listen = 127.0.0.1:{self.port}\nspares = {spares}\nquiet_time_ms = 0\ncrashes_max = 0\n')
        self.proc = subprocess.Popen([f'{BUILD}/baton', 'run', '-c', self.conf], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        self.settle()

    def status(self):
        out = subprocess.run([f'{BUILD}/baton', 'status', '--json', '-c', self.conf], capture_output=True).stdout
        return json.loads(out)['services'][0] if out else None

    def settle(self):
        """Waits until all instances are ready and all spares warm; returns the status."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            s = self.status()
            if s and all(i['state'] == 'ready' for i in s['instances']) and len(s['spares']) == self.spares and \
                    all(i['state'] == 'warm' for i in s['spares']):
                return s
            time.sleep(0.02)
        raise SystemExit('baton does not get ready')

    def end(self):
        self.proc.terminate()
        self.proc.wait()


def fail_over(baton):
    """Kills instance 0 and asks its port. Milliseconds to the answer, and until the heir was ready."""
    pid = baton.settle()['instances'][0]['pid']  # of its own process, whoever answers on the port
    begin = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while True:  # what was accepted just before dies with it
        answer = ask(baton.port)
        if answer and not answer.startswith(f'pid {pid} '):
            break
    took = (time.monotonic() - begin) * 1000
    g = baton.settle()['instances'][0]['generations'][0]
    return took, g['ready_in_ms']


def measure(name, command, spares):
    with tempfile.TemporaryDirectory(prefix='baton-bench-') as tmp:
        baton = Baton(tmp, command, spares)
        end, out = multiprocessing.Event(), multiprocessing.Queue()
        loads = [multiprocessing.Process(target=load, args=(baton.port + i, end, out)) for i in range(2)]
        for p in loads:
            p.start()
        try:
            runs = []
            for _ in range(RUNS):
                time.sleep(0.1)
                runs.append(fail_over(baton))
        finally:
            end.set()
            counts = dict(out.get(timeout=60) for _ in loads)
            for p in loads:
                p.join()
            baton.end()
    took = sorted(t for t, _ in runs)
    over = sorted(t - start for t, start in runs)
    line = f'{name:24} {spares} spares: first answer after {statistics.median(took):.1f} ms (median of {RUNS}; ' \
           f'{took[0]:.1f} to {took[-1]:.1f})'
    if not spares:
        line += f'; beyond its start-up of {statistics.median(s for _, s in runs):.0f} ms: ' \
                f'{statistics.median(over):.1f} ms (median)'
    a, b = counts[baton.port], counts[baton.port + 1]
    print(f'{line}\n{"":24} its port: {a["ok"]} answered, {a["refused"]} refused, {a["broken"]} broke off; '
          f'the other\'s: {b["ok"]} answered, {b["refused"]} refused, {b["broken"]} broke off', flush=True)
    good = a['refused'] + b['refused'] + b['broken'] == 0
    limit = statistics.median(took) if spares else statistics.median(over)
    return good and limit <= 20


if __name__ == '__main__':
    hello = f'{BUILD}/hello'
    slow = f'/bin/sh -c {shlex.quote(f"sleep 0.3; exec {hello}")}'
    results = [measure(name, command, spares) for name, command in (('hello', hello), ('hello, 300 ms to start', slow))
               for spares in (1, 0)]
    if not all(results):
        raise SystemExit('more than 20 ms, or somebody was refused')
