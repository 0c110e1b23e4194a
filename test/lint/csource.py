# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lint scripts know of C: files, functions, structs, comments.

Comments, strings and preprocessor lines are blanked (lines stay where they
are) and braces counted; that is enough for code in the kernel's style.
"""
import os
import re
import sys
from glob import glob

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
DIRS = ("", "lib/", "link/", "serve/", "host/", "guard/")


def sources(*ends):
    """Product sources with one of these endings, relative to the root."""
    os.chdir(ROOT)
    return sorted(f for d in DIRS for e in ends for f in glob(d + "*" + e))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


_token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
                    r"|'(?:\\.|[^'\\\n])*'", re.S)
_cpp = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)


def _blank(m):
    return re.sub(r"[^\n]", " ", m.group())


def strip(text):
    """The code alone, every character at its place."""
    return _cpp.sub(_blank, _token.sub(_blank, text))


def _close(code, i, pair="{}"):
    """Index of what closes the bracket at i."""
    depth = 0
    while i < len(code):
        if code[i] == pair[0]:
            depth += 1
        elif code[i] == pair[1]:
            depth -= 1
            if not depth:
                return i
        i += 1
    raise ValueError("unbalanced " + pair)


def _drop_attributes(head):
    """Attributes and alignment, blanked."""
    while True:
        m = re.search(r"\b(?:__attribute__|_Alignas)\s*\(", head)
        if not m:
            return head
        end = _close(head, m.end() - 1, "()") + 1
        head = head[:m.start()] + re.sub(r"[^\n]", " ",
                                         head[m.start():end]) + head[end:]


def split_commas(text):
    """Parts at the commas outside of brackets."""
    parts, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += c in "([{"
        depth -= c in ")]}"
        if c == "," and not depth:
            parts.append(text[last:i])
            last = i + 1
    return [p.strip() for p in parts + [text[last:]] if p.strip()]


def declared(decl):
    """The name that a parameter or member declares."""
    m = re.search(r"\(\s*\*\s*(?:const\s+)?(\w+)", decl)
    if m:
        return m.group(1)
    decl = re.sub(r"\[[^]]*\]|:\s*\w+\s*$", "", decl).strip()
    m = re.search(r"(\w+)$", decl)
    return m.group(1) if m else decl


class Function:
    """A function: defined (end is its last line) or declared (end is 0)."""

    def __init__(self, path, text, code, start, paren, end):
        self.path = path
        head = code[start:paren]
        self.name = re.search(r"(\w+)\s*$", head).group(1)
        at = start + re.search(r"\w+\s*$", head).start()
        self.line = code.count("\n", 0, at) + 1
        self.end = code.count("\n", 0, end) + 1 if end else 0
        self.static = bool(re.search(r"\bstatic\b", head))
        params = code[paren + 1:_close(code, paren, "()")]
        self.params = [declared(p) for p in split_commas(params)
                       if p not in ("void", "...")]
        self.void = bool(re.search(r"\bvoid\s+\w+\s*$", head))
        first = start + len(code[start:]) - len(code[start:].lstrip())
        self.doc = doc_before(text, first)

    @property
    def length(self):
        return self.end - self.line + 1


def doc_before(text, at):
    """The kernel-doc comment right before a place, or None."""
    m = re.search(r"/\*\*\n((?:(?!\*/).)*)\*/[ \t]*\n[ \t]*$", text[:at],
                  re.S)
    return m.group(1) if m else None


def doc_names(doc):
    return re.findall(r"^\s*\*\s*@(\w+):", doc, re.M)


def _top_level(code):
    """Chunks at brace depth 0: (start, where it ends, body or None)."""
    i = start = 0
    while i < len(code):
        c = code[i]
        if c == "{":
            end = _close(code, i)
            yield start, i, end
            if re.search(r"\b(struct|union|enum)\b[^()=]*$", code[start:i]) \
                    or "=" in code[start:i]:
                end = code.find(";", end)
                end = len(code) if end < 0 else end
            i = start = end + 1
        elif c == ";":
            yield start, i, None
            i = start = i + 1
        else:
            i += 1


def functions(path):
    """All functions defined, and those declared, of a file."""
    text = read(path)
    code = _drop_attributes(strip(text))
    defined, decls = [], []
    for start, stop, end in _top_level(code):
        head = code[start:stop]
        if "=" in head or re.match(r"\s*(typedef|static_assert"
                                   r"|_Static_assert)\b", head):
            continue
        m = re.search(r"\b\w+\s*\(", head)
        if not m or (end is None and not re.search(r"\w\s+\**\w+\s*\(",
                                                   head)):
            continue
        f = Function(path, text, code, start, start + m.end() - 1, end)
        (decls if end is None else defined).append(f)
    return defined, decls


class Struct:
    """A struct, union or enum that a file defines."""

    def __init__(self, path, text, code, m, end):
        self.path = path
        self.kind, self.name = m.group(1), m.group(2)
        self.line = code.count("\n", 0, m.start(1)) + 1
        self.doc = doc_before(text, m.start(1))
        body = code[m.end():end]
        self.generated = bool(re.search(r"^\s*#", text[m.end():end], re.M))
        self.members = self.enumerators(body) if self.kind == "enum" \
            else self.fields(body)

    @staticmethod
    def enumerators(body):
        return [re.match(r"\w+", p).group() for p in split_commas(body)]

    @classmethod
    def fields(cls, body):
        names = []
        i = last = 0
        while i < len(body):
            if body[i] == "{":
                end = _close(body, i)
                semi = body.index(";", end)
                tail = body[end + 1:semi].strip()
                names += [declared(p) for p in split_commas(tail)] if tail \
                    else cls.fields(body[i + 1:end])
                i = last = semi + 1
            elif body[i] == ";":
                parts = split_commas(body[last:i])
                names += [declared(p) for p in parts]
                i = last = i + 1
            else:
                i += 1
        return names


def structs(path):
    text = read(path)
    code = _drop_attributes(strip(text))
    for m in re.finditer(r"^(struct|union|enum)\s+(\w+)\s*\{", code, re.M):
        yield Struct(path, text, code, m, _close(code, m.end() - 1))


class Tally:
    """Counts, and ends with the line that the test runner reads."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, ok, *what):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            if what:
                print(*what)
        return ok

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(bool(self.failed or not self.passed))
