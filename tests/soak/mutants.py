# SPDX-License-Identifier: MIT
# Mutants that no test kills: see mutants.sh. One mutant after the other is built in a copy of the
# tree, and the tests run on it, those that are nearest to the changed file first, up to the first
# that fails. What counts as killed has failed twice, and passes on the tree as it is.
import ctypes
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import mutate  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILT = os.environ['BATON_BUILD']
COPY = os.path.join(BUILT, f'mutants-{os.getpid()}')  # two may run at a time
AREAS = ('ctx', 'server', 'supervisor')
EXAMPLES = ('hello.c',)
ARGUED = os.path.join(HERE, 'mutants.argued')
# Where the tests of an area are, the nearest first; and which rooms of e2e/ have to do with it.
WHERE = {'ctx': ('ctx', 'server', 'e2e'), 'server': ('server', 'e2e'),
         'supervisor': ('supervisor', 'e2e')}
E2E = {'ctx': 'server', 'server': 'server|handover|deploy/restart|instance/spares',
       'supervisor': ''}
# A program of tests that has not passed before may take so long; others five times as long.
LIMIT_S = 300
ENOUGH_PERCENT = 95


def read(file, root=ROOT):
    with open(os.path.join(root, file), encoding='utf-8') as f:
        return f.read()


def c_files(folder):
    return sorted(os.path.relpath(os.path.join(at, f), ROOT)
                  for at, _, files in os.walk(os.path.join(ROOT, folder)) for f in files
                  if f.endswith('.c') and f not in EXAMPLES)


def adopt_orphans():
    """What a mutant leaves running becomes a child of this process, which ends it."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans():
    while True:
        with open(f'/proc/self/task/{os.getpid()}/children') as f:
            children = [int(pid) for pid in f.read().split()]
        if not children:
            return
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def make(*goals):
    env = {k: v for k, v in os.environ.items() if not k.startswith('MAKE') and k != 'MFLAGS'}
    return subprocess.run(['make', '-s', *goals], cwd=COPY, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def run_test(test, root, build, limit_s):
    """Whether it passed, and how long it took."""
    log = os.path.join(COPY, 'test.log')
    begun = time.monotonic()
    with open(log, 'wb') as out:
        passed = subprocess.run(
            ['timeout', '-k', '10', str(limit_s), os.path.join(build, 'tests', test)], cwd=root,
            env=dict(os.environ, BATON_BUILD=build), stdin=subprocess.DEVNULL, stdout=out,
            stderr=out).returncode == 0
    end_orphans()
    return passed, time.monotonic() - begun


class Tests:
    """The test programs. One that fails on a mutant is asked on the tree as it is, once."""

    def __init__(self):
        self.took = {}   # seconds, when it passed last
        self.sound = {}  # whether it passes on the tree as it is

    def passes(self, test):
        limit_s = int(10 + 5 * self.took[test]) if test in self.took else LIMIT_S
        passed, took = run_test(test, COPY, f'{COPY}/build', limit_s)
        if passed:
            self.took[test] = took
        return passed

    def is_sound(self, test):
        if test not in self.sound:
            self.sound[test], took = run_test(test, ROOT, BUILT, LIMIT_S)
            if self.sound[test]:
                self.took[test] = took
            else:
                print(f'      {test} fails on the tree as it is, and is not asked', flush=True)
        return self.sound[test]

    def kills(self, test):
        """Whether it fails on the mutant, twice, for that reason alone."""
        return (self.sound.get(test, True) and not self.passes(test) and self.is_sound(test) and
                not self.passes(test))

    def in_order(self, file):
        """Of all the tests those first that are named like the file, then those that name it."""
        room, stem = os.path.split(file[:-2])
        area = room.split('/')[0]
        near = re.compile(rf'\b({stem}_\w+|{file})\b')

        def distance(test):
            folder, name = os.path.split(test)
            if folder.split('/')[0] != area:
                return 4 + WHERE[area].index(folder.split('/')[0])
            if name.split('_')[0] in (stem, stem.split('_')[0]):
                return 0
            return 1 if near.search(read(f'tests/{test}.c')) else 2 if folder == room else 3
        tests = [f[len('tests/'):-2] for w in WHERE[area] for f in c_files(f'tests/{w}')
                 if w != 'e2e' or re.match(f'tests/e2e/({E2E[area]})', f)]
        return sorted(tests, key=lambda t: (distance(t), self.took.get(t) or 0, t))


def copy_tree():
    os.makedirs(f'{COPY}/build')
    for name in os.listdir(ROOT):
        source, to = os.path.join(ROOT, name), os.path.join(COPY, name)
        if name in ('.git', 'build') or os.path.realpath(source) == os.path.realpath(BUILT):
            continue
        if os.path.isdir(source):
            shutil.copytree(source, to, symlinks=True)
        else:
            shutil.copy2(source, to)
    for name in os.listdir(BUILT):
        source, to = os.path.join(BUILT, name), os.path.join(COPY, 'build', name)
        if name in ('obj', 'include') or name == 'tests':
            shutil.copytree(source, to, symlinks=True,
                            ignore=shutil.ignore_patterns('*.log', 'fuzz'))
        elif os.path.isfile(source):
            shutil.copy2(source, to, follow_symlinks=False)


def code_of(obj):
    """What is in an object file but for what debuggers read."""
    bare = os.path.join(COPY, 'bare.o')
    subprocess.run(['objcopy', '--strip-debug', os.path.join(COPY, obj), bare], check=True)
    with open(bare, 'rb') as f:
        return f.read()


def build_mutant(mutant):
    """'' if it can be judged, otherwise why not."""
    obj = f'build/obj/{mutant.file[:-2]}.o'
    before = code_of(obj)
    with open(os.path.join(COPY, mutant.file), 'w', encoding='utf-8') as f:
        f.write(mutant.apply(read(mutant.file)))
    if not make(obj):
        return 'does not compile'
    return 'is the same program' if code_of(obj) == before else ''


def restore(mutant):
    with open(os.path.join(COPY, mutant.file), 'w', encoding='utf-8') as f:
        f.write(read(mutant.file))
    make(f'build/obj/{mutant.file[:-2]}.o')


def killer(mutant, tests):
    """The test that kills it, or None."""
    if not make('all'):
        return 'the linker'
    for test in tests.in_order(mutant.file):
        if not make(f'build/tests/{test}'):
            return 'the linker'
        if tests.kills(test):
            return test
    return None


def argued():
    """Mutants that are the same program to everybody: {file: what: source}, a reason behind."""
    lines = [line for line in read(ARGUED).splitlines() if line and line[0] not in '#\t']
    return {re.sub(r':\d+:', ':', line, count=1) for line in lines}


def number(name, default):
    return int(os.environ.get(name) or default)


def main():
    seed, wanted = number('SEED', random.randrange(10 ** 6)), number('MUTANTS', 100)
    ends = time.monotonic() + number('SOAK_SECONDS', 600)
    files = os.environ.get('FILES', '').split() or [f for a in AREAS for f in c_files(a)]
    tests, known = Tests(), argued()
    mutants, of = mutate.sample(files, read, wanted, seed)
    counted = {'killed': 0, 'alive': 0, 'argued': 0, 'left out': 0}
    print(f'SEED={seed} MUTANTS={wanted}, of {of} there are', flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    adopt_orphans()
    try:
        copy_tree()
        for mutant in mutants:
            begun = time.monotonic()
            if time.monotonic() > ends:
                break
            name = f'{mutant.file}: {mutant.what}: {mutant.source}'
            if name in known:
                counted['argued'] += 1
                continue
            why_not = build_mutant(mutant)
            by = None if why_not else killer(mutant, tests)
            restore(mutant)
            result = 'left out' if why_not else 'killed' if by else 'alive'
            counted[result] += 1
            if result == 'alive' or 'VERBOSE' in os.environ:
                print(f'{result:<9}{mutant} ({by or why_not or "all tests"}, '
                      f'{time.monotonic() - begun:.0f} s)', flush=True)
    finally:
        end_orphans()
        shutil.rmtree(COPY, ignore_errors=True)
    judged = counted['killed'] + counted['alive']
    print(', '.join(f'{n} {what}' for what, n in counted.items()) +
          f' of {sum(counted.values())} mutants, SEED={seed}')
    return 0 if counted['killed'] * 100 >= ENOUGH_PERCENT * judged and judged > 0 else 1


if __name__ == '__main__':
    sys.exit(main())
