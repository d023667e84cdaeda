# SPDX-License-Identifier: MIT
# Finds what can be mutated in C sources: each comparison turned round (== and !=, < and >=, …),
# each && made || and the reverse, each statement that is a call dropped. Works on the text, which
# clang-format has brought into one form: operators have white space around them.
import random
import re

TURNED = {'==': '!=', '!=': '==', '<': '>=', '>=': '<', '>': '<=', '<=': '>',
          '&&': '||', '||': '&&'}
OPERATOR = re.compile(r'(?<=\s)(==|!=|<=|>=|<|>|&&|\|\|)(?=\s)')
# A call that is a statement: behind the end of another, a brace, a condition, or a label.
CALL = re.compile(r'(?:[;{})]|\belse|(?<!\?)\b(?:case \w+|default|[a-z_]+):)\s+'
                  r'((?:\(void\))?([A-Za-z_][\w.>\[\]-]*)\()')
NO_CALL = {'if', 'for', 'while', 'switch', 'return', 'sizeof', 'do', 'else', 'defined',
           '__attribute__', '_Static_assert', 'static_assert'}
# Not asked for: what only gives memory back, what checks for mistakes in the program itself, and
# taking a lock. No answer of the program depends on them; the sanitizers (`make test SAN=…`) tell.
NOT_ASKED = re.compile(r'^(free|talloc_free|TALLOC_FREE|free_\w+|json_decref|(sem|pthread_\w+)_destroy|'
                       r'assert|va_end|pthread_mutex_lock)$')


class Mutant:
    def __init__(self, file, text, begin, end, replacement, what):
        self.file, self.begin, self.end, self.replacement = file, begin, end, replacement
        self.line = text.count('\n', 0, begin) + 1
        self.source = text.split('\n')[self.line - 1].strip()
        self.what = what

    def apply(self, text):
        return text[:self.begin] + self.replacement + text[self.end:]

    def __str__(self):
        return f'{self.file}:{self.line}: {self.what}: {self.source}'


def only_code(text):
    """The text, as long as before, without comments, literals and preprocessor lines."""
    def blank(m):
        return re.sub(r'[^\n]', ' ', m.group(0))
    code = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)
    return re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', blank, code, flags=re.M)


def closing(code, at):
    """Behind the parenthesis that closes the one at `at`."""
    depth = 0
    for i in range(at, len(code)):
        depth += {'(': 1, ')': -1}.get(code[i], 0)
        if depth == 0:
            return i + 1
    return len(code)


def mutants_of(file, text):
    code = only_code(text)
    for m in OPERATOR.finditer(code):
        now = TURNED[m.group(1)]
        yield Mutant(file, text, m.start(1), m.end(1), now, f'{m.group(1)} is {now}')
    for m in CALL.finditer(code):
        name = m.group(2)
        end = closing(code, m.end(1) - 1)
        if name in NO_CALL or NOT_ASKED.match(name) or code[end:end + 1] != ';':
            continue
        # A loop that is never entered: unlike nothing, or an if, it fits wherever a call does.
        at = m.start(1)
        yield Mutant(file, text, at, at, 'while (0) ', f'{name}() is not called')


def sample(files, read, n, seed):
    """So many of all that there are in the files, in the order in which they were drawn."""
    found = [m for f in sorted(files) for m in mutants_of(f, read(f))]
    random.Random(seed).shuffle(found)
    return found[:n], len(found)
