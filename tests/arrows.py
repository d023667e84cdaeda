#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the code against tests/arrows.txt: which folder uses which, by include and by symbol.

arrows.py OBJECTS, the folder with the objects of a build. Writes a line for each arrow that the
table does not have or has in vain, for each that runs up, for each ring among the files of a folder,
and for each structure of functions, in which an arrow could hide, whose line in the table is not
true. Writes nothing if all is well. --show writes the arrows that there are, with what makes them.
"""
import collections
import os
import re
import subprocess
import sys

TABLE = 'tests/arrows.txt'
HOUSE = ('ctx', 'server', 'supervisor')
# Headers that are nobody's inside: what users include, and what server and supervisor agree on.
FACES = ('server/http.h', 'server/base/settings.def', 'supervisor/protocol.h')


def sources():
    out = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '--', *HOUSE],
                         capture_output=True, text=True, check=True).stdout
    return [f for f in out.split('\n') if re.search(r'\.(c|h|def)$', f)]


def read(file):
    with open(file, encoding='utf-8') as f:
        return f.read()


class Table:
    """Rooms from the top down, what each may use, and the tables of callbacks."""

    def __init__(self):
        self.order, self.uses, self.callbacks = [], {}, {}
        for n, line in enumerate(read(TABLE).split('\n'), 1):
            line = line.split('#')[0].rstrip()
            callback = re.match(r'(\w+ \w+) in (\S+): installed by (.+), called by (.+)$', line)
            room = re.match(r'(\S+):((?: \S+)*)$', line)
            if callback:
                self.callbacks[callback[1]] = (callback[2], set(callback[3].split()) - {'users'},
                                               set(callback[4].split()))
            elif room:
                self.order.append(room[1])
                self.uses[room[1]] = room[2].split()
            elif line:
                sys.exit(f'{TABLE}:{n}: expected "room: rooms that it uses" or "struct NAME in '
                         f'ROOM: installed by ROOMS, called by ROOMS": {line}')

    def faults(self, arrows):
        for room in sorted({a for a, _ in arrows} | {b for _, b in arrows}):
            if room not in self.uses:
                yield f'{room}: no line in {TABLE}'
        for room, used in self.uses.items():
            for u in used:
                if u not in self.uses:
                    yield f'{TABLE}: {room} uses {u}, for which there is no line'
                elif self.order.index(u) <= self.order.index(room):
                    yield f'{TABLE}: {room} uses {u}, which stands above it: arrows point down'
                if (room, u) not in arrows:
                    yield f'{TABLE}: {room} does not use {u} any more'
        for (a, b), why in sorted(arrows.items()):
            if b not in self.uses.get(a, []):
                yield f'{a} uses {b}, which is not in {TABLE}: {", ".join(sorted(why)[:6])}'


def room_of(file):
    return file if file in FACES else os.path.dirname(file)


def includes(files):
    """(file, file) for each include of one of ours; public headers by the name they are installed by."""
    public = {'baton/' + os.path.basename(f): f for f in files
              if f in ('ctx/ctx.h', 'ctx/bag.h', 'ctx/registry.h', 'server/http.h')}
    for f in files:
        for path in re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', read(f), re.M):
            to = public.get(path, path)
            if to in files:
                yield f, to


def symbols(files, objects):
    """(file, file, name) for each symbol that one object takes from another."""
    defined, wanted = {}, []
    for f in files:
        obj = os.path.join(objects, f[:-2] + '.o')
        if not f.endswith('.c') or not os.path.exists(obj):
            continue
        out = subprocess.run(['nm', '-P', obj], capture_output=True, text=True, check=True).stdout
        for line in out.split('\n'):
            name, kind = (line.split() + ['', ''])[:2]
            if kind == 'U':
                wanted.append((f, name))
            elif kind in 'TDBRCVW' and kind:
                defined.setdefault(name, []).append(f)
    for f, name in wanted:
        for to in defined.get(name, []):
            # The library and the supervisor are programs of their own: a name may be in both.
            if to.split('/')[0] == f.split('/')[0] or 'supervisor' not in (to.split('/')[0], f.split('/')[0]):
                yield f, to, name


def rings(graph):
    """Sets of files that reach each other."""
    index, low, stack, on, found, count = {}, {}, [], set(), [], [0]

    def visit(v):
        work = [(v, iter(sorted(graph.get(v, ()))))]
        index[v] = low[v] = count[0]
        count[0] += 1
        stack.append(v)
        on.add(v)
        while work:
            node, rest = work[-1]
            for w in rest:
                if w not in index:
                    index[w] = low[w] = count[0]
                    count[0] += 1
                    stack.append(w)
                    on.add(w)
                    work.append((w, iter(sorted(graph.get(w, ())))))
                    break
                if w in on:
                    low[node] = min(low[node], index[w])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    ring = set()
                    while True:
                        w = stack.pop()
                        on.discard(w)
                        ring.add(w)
                        if w == node:
                            break
                    if len(ring) > 1:
                        found.append(ring)
    for v in sorted(graph):
        if v not in index:
            visit(v)
    return found


def callback_tables(files, arrows):
    """Structures of functions: {"struct NAME": (room that declares it, rooms that fill one in, rooms
    that call what is in it, as far as they may know it)}."""
    declared, calls, filled = {}, collections.defaultdict(set), collections.defaultdict(set)
    for f in files:
        for m in re.finditer(r'^struct (\w+) \{\n(.*?)^\};', read(f), re.M | re.S):
            members = re.sub(r'/\*.*?\*/', '', m[2], flags=re.S)
            kinds = [x for x in members.split(';') if x.strip()]
            functions = [x[1] for x in (re.search(r'\(\*(\w+)\)\(', k) for k in kinds) if x]
            # One of them may be data.
            if functions and len(functions) >= len(kinds) - 1:
                declared['struct ' + m[1]] = room_of(f), '|'.join(functions)
    for f in files:
        text = read(f)
        for name, (room, functions) in declared.items():
            if re.search(rf'\b{name} \w+(?:\[\w*\])? = \{{|\({name}\)\{{', text):
                filled[name].add(room_of(f))
            known = room_of(f) == room or (room_of(f), room) in arrows
            if known and re.search(rf'(?:->|\.)(?:{functions})\(', text):
                calls[name].add(room_of(f))
    return {name: (room, filled[name], calls[name]) for name, (room, _) in declared.items()}


def told(name, table):
    room, filled, calls = table
    return (f'{name} in {room}: installed by {" ".join(sorted(filled)) or "users"}, '
            f'called by {" ".join(sorted(calls))}')


def main():
    objects = sys.argv[1]
    files = set(sources())
    arrows, within = collections.defaultdict(set), collections.defaultdict(set)
    for f, to in includes(files):
        if room_of(f) != room_of(to):
            arrows[room_of(f), room_of(to)].add(f'{os.path.basename(f)} -> {os.path.basename(to)}')
    for f, to, name in symbols(files, objects):
        if room_of(f) != room_of(to):
            arrows[room_of(f), room_of(to)].add(f'{os.path.basename(f)} -> {name}')
        elif f != to:
            within[f].add(to)
    if '--show' in sys.argv:
        for (a, b), why in sorted(arrows.items()):
            print(f'{a} -> {b}: {", ".join(sorted(why))}')
        for ring in rings(within):
            print('ring:', ' '.join(sorted(ring)))
        for name, known in sorted(callback_tables(files, arrows).items()):
            print(told(name, known))
        return
    table = Table()
    for fault in table.faults(arrows):
        print(fault)
    for ring in rings(within):
        print(f'{room_of(min(ring))}: a ring of {" ".join(sorted(map(os.path.basename, ring)))}')
    for name, known in sorted(callback_tables(files, arrows).items()):
        if table.callbacks.pop(name, None) != known:
            print(f'{told(name, known)}: not so in {TABLE}')
    for name in table.callbacks:
        print(f'{TABLE}: there is no {name} any more')


main()
