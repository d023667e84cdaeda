#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the supervisor itself takes: memory and descriptors with 100 instances and after 1000
restarts of one, and its system calls in 10 s in which nothing happens. supervisor.py [BUILD]
"""
import os, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import surge

surge.BUILD = BUILD = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('BATON_BUILD', 'build')
RESTARTS, IDLE_S = 1000, 10


def start(tmp, instances):
    surge.INSTANCES = instances
    return surge.Baton(tmp, f'{os.path.abspath(BUILD)}/hello', 1)


def memory_kb(pid):
    wanted = {'Rss': 0, 'Pss': 0}
    with open(f'/proc/{pid}/smaps_rollup') as f:
        for line in f:
            key = line.split(':')[0]
            if key in wanted:
                wanted[key] = int(line.split()[1])
    return wanted


def say(what, pid):
    kb = memory_kb(pid)
    fds = len(os.listdir(f'/proc/{pid}/fd'))
    print(f'{what}: RSS {kb["Rss"]} kB, PSS {kb["Pss"]} kB, {fds} descriptors', flush=True)


def crowd(tmp):
    baton = start(tmp, 100)
    try:
        say('100 instances', baton.proc.pid)
    finally:
        baton.end()


def restarts(tmp):
    baton = start(tmp, 1)
    try:
        for done in range(RESTARTS + 1):
            if done in (0, 10, RESTARTS // 10, RESTARTS // 2, RESTARTS):
                say(f'1 instance, after {done:4} restarts', baton.proc.pid)
            if done < RESTARTS:
                baton.restart_ms()
    finally:
        baton.end()


def idle(tmp):
    baton = start(tmp, 2)
    try:
        time.sleep(12)  # their probation is over, and what has proved good was copied
        say('2 instances', baton.proc.pid)
        if shutil.which('strace') is None:
            print('strace is not installed: system calls are not counted')
            return
        trace = f'{tmp}/trace'
        strace = subprocess.Popen(['strace', '-f', '-o', trace, '-p', str(baton.proc.pid)],
                                  stderr=subprocess.DEVNULL)
        time.sleep(IDLE_S)
        strace.terminate()
        strace.wait()
        with open(trace) as f:
            calls = [line for line in f if '(' in line]
        # The one in which it waits is shown when strace comes, and cut off when it goes.
        ended = [line for line in calls if '<detached' not in line]
        print(f'2 instances, idle for {IDLE_S} s: {len(ended)} system calls', *ended[:10])
    finally:
        baton.end()


if __name__ == '__main__':
    for part in (idle, crowd, restarts):
        with tempfile.TemporaryDirectory(prefix='baton-bench-') as tmp:
            part(tmp)
