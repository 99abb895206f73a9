#!/usr/bin/env python3
"""Manual pages from the comments of the public headers: the one source of what the manual says.

    man.py --output DIR HEADERS     writes DIR/man3 and DIR/man7; HEADERS is the folder that holds cosy.h and cosy/
    man.py --check HEADERS          names what is public and not documented; exit 1 when there is any

What is read:
  - Each include/cosy/ROOM.h gives cosy-ROOM(7): the comment at its top, its types, and a list of what it declares.
  - Each public function and macro gives a page of section 3. Names that end in `_` (or `_` and digits) are private.
  - A comment describes what follows it up to the next empty line or comment; those names share a page. A comment behind
    a declaration, on its line, adds to it.
  - `/* ---- title ---- */` begins a section of the list.
  - A macro's comment begins with its shape, as if it were a function, on lines indented by four:
    `    int cosy_gather(awaitable...);`. Constants need none.
  - In a comment, lines indented by four or more are code; an empty line begins a paragraph; `1.` or `-` a list.
"""
import argparse
import os
import re
import shutil
import sys

SUMMARY_MAX = 110


# ---- reading ----

class Item:
    """One declaration or macro of a header."""

    def __init__(self, kind, name, text, line):
        self.kind = kind  # function, macro, type, other
        self.name = name
        self.text = text
        self.line = line
        self.remark = ""  # the comment behind it
        self.parameters = None  # of a macro: None for a constant

    @property
    def is_private(self):
        return not self.name or re.search(r"_\d*$", self.name) is not None


class Group:
    """What one comment describes."""

    def __init__(self, comment, line, section):
        self.comment = comment
        self.line = line
        self.section = section
        self.items = []

    def pages(self):
        return [item for item in self.items if item.kind in ("function", "macro") and not item.is_private]

    def types(self):
        if self.items and all(item.is_private for item in self.items):
            return []
        return [item for item in self.items if item.kind == "type" and (not item.name or not item.is_private)]


class Header:
    def __init__(self, path):
        self.path = path
        self.room = os.path.splitext(os.path.basename(path))[0]
        with open(path) as file:
            self.source = file.read()
        self.comment = ""
        self.groups = []
        self.marks = {}  # name of a function, private ones too: what marks its declaration carries; of all headers
        self.macros = {}  # name of a macro, private ones too: its item; of all headers
        read_header(self)

    @property
    def page(self):
        return "cosy" if self.room == "cosy" else "cosy-" + self.room


TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/)
  | (?P<others>^\#[ \t]*ifdef[ ](?:__cplusplus|COSY_\w+_)\b.*?^\#[ \t]*endif[^\n]*\n)
  | (?P<directive>^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)
  | (?P<blank>\n[ \t]*(?=\n))
  | (?P<space>\s+)
  | (?P<code>[^\s])
""", re.S | re.M | re.X)


def comment_text(raw):
    """The words of a comment, its stars and its common indentation removed."""
    lines = raw[2:-2].split("\n")
    lines = [re.sub(r"^\s*\*", "", line) if n else line for n, line in enumerate(lines)]
    lines = [line.rstrip() for line in lines]
    return "\n".join(line[1:] if line.startswith(" ") else line for line in lines).strip("\n")


def declaration_end(source, start):
    """Where the declaration that begins at `start` ends: behind its ; or the } of its body."""
    depth, at = 0, start
    while at < len(source):
        if source.startswith("/*", at):
            at = source.index("*/", at) + 2
            continue
        char = source[at]
        if char in "({[":
            depth += 1
        elif char in ")}]":
            depth -= 1
            if depth == 0 and char == "}" and not re.match(r"\s*(?:[\w\s*]*|__attribute__\(.*?\)\s*)[;,]", source[at + 1:]):
                return at + 1
        elif char == ";" and depth == 0:
            return at + 1
        at += 1
    return at


def classify(text, line):
    """The item that a declaration is."""
    bare = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    bare = re.sub(r"__attribute__\s*\(\(.*?\)\)(?=\s|;|$)", "", bare)
    bare = re.sub(r"COSY_COLOUR_\((?:[^()]|\([^()]*\))*\)", "", bare)
    bare = " ".join(bare.split())
    typedef = re.match(r"typedef\b.*?(?:\(\*(\w+)\)\(.*\)|\b(\w+));$", bare)
    if typedef:
        return Item("type", typedef.group(1) or typedef.group(2), text, line)
    tagged = re.match(r"(?:struct|enum|union)\s*(\w*)\s*(?:\{.*\})?;$", bare)
    if tagged:
        return Item("type", tagged.group(1), text, line)
    function = re.match(r"(?!extern struct)[\w\s*]*?\b(\w+)\s*\(", bare)
    if function and not bare.startswith("_Static_assert"):
        return Item("function", function.group(1), text, line)
    return Item("other", "", text, line)


def read_macro(header, text, line):
    define = re.match(r"\s*#\s*define\s+(\w+)(\([^)]*\))?(.*)", text, re.S)
    if not define or (not define.group(3).strip() and define.group(1).endswith("_H")):
        return None
    item = Item("macro", define.group(1), text, line)
    item.parameters = define.group(2)
    return item


def note_marks(header, item):
    if item.kind == "function":
        marks = {mark for mark in ("cosy_async", "cosy_blocking") if re.search(r"\b%s\b" % mark, item.text)}
        header.marks.setdefault(item.name, marks)


def read_header(header):
    source, at, section = header.source, 0, ""
    group = None  # what the latest comment describes, while it lasts
    seen = set()

    def add(item):
        nonlocal group
        note_marks(header, item)
        if item.name and (item.kind, item.name) in seen:
            return
        seen.add((item.kind, item.name))
        if group is None:
            group = Group("", item.line, section)
            header.groups.append(group)
        group.items.append(item)

    while at < len(source):
        token = TOKEN.match(source, at)
        line = source.count("\n", 0, at) + 1
        kind, text = token.lastgroup, token.group()
        end = token.end()
        if kind == "comment":
            words = comment_text(text)
            begins_line = not source[source.rfind("\n", 0, at) + 1:at].strip()
            title = re.match(r"---- (.*?) ----", words)
            if not header.comment and at == 0:
                header.comment = words
            elif title:
                section, group = title.group(1), None
            elif not begins_line:
                if group and group.items:
                    group.items[-1].remark = words
            else:
                group = Group(words, line, section)
                header.groups.append(group)
        elif kind == "blank":
            group = None
        elif kind == "directive":
            macro = read_macro(header, text, line)
            if macro:
                header.macros[macro.name] = macro
                tail = re.search(r"/\*.*?\*/\s*$", text, re.S)
                add(macro)
                if tail:
                    macro.remark = comment_text(tail.group().strip())
        elif kind == "code":
            end = declaration_end(source, at)
            add(classify(source[at:end], line))
        at = end


def read_headers(folder):
    rooms = os.path.join(folder, "cosy")
    umbrella = Header(os.path.join(folder, "cosy.h"))
    headers = {name[:-2]: Header(os.path.join(rooms, name)) for name in os.listdir(rooms) if name.endswith(".h")}
    for share in ("marks", "macros"):
        everything = {}
        for header in headers.values():
            everything.update(getattr(header, share))
            setattr(header, share, everything)
    order = re.findall(r'#include "cosy/(\w+)\.h"', umbrella.source)
    return umbrella, [headers[name] for name in order if name in headers], sorted(set(headers) - set(order))


# ---- what is said ----

def shape_of(item, group):
    """How a macro is called: the indented lines at the head of its comment that name it."""
    shapes = []
    for line in group.comment.split("\n"):
        if line.startswith("    "):
            if re.search(r"(?<!\w)%s\b" % item.name, line):
                shapes.append(re.sub(r"\s*/\*.*\*/$", "", line.strip()))
        elif line:
            break
    return shapes


def shape_lines(group):
    """How many lines at the head of the comment are shapes."""
    lines = group.comment.split("\n")
    names = [item.name for item in group.pages() if item.kind == "macro"]
    count = 0
    while count < len(lines) and lines[count].startswith("    ") and any(
            re.search(r"(?<!\w)%s\b" % name, lines[count]) for name in names):
        count += 1
    return count


def body_of(group):
    return "\n".join(group.comment.split("\n")[shape_lines(group):]).strip("\n")


def summary_of(group):
    """The first sentence, on one line, as NAME wants it."""
    text = body_of(group).replace("`", "") or next((item.remark for item in group.pages() if item.remark), "")
    text = " ".join(re.split(r"\n\s*\n|\n {4}", text)[0].split())
    sentence = re.match(r"(.*?[^.])(?:\.(?=\s|$)|$)", text)
    text = sentence.group(1) if sentence else text
    for mark in (": ", "; ", " (", ", "):
        cut = text.split(mark)[0]
        if len(text) > SUMMARY_MAX and cut.count("(") == cut.count(")") and cut.count('"') % 2 == 0:
            text = cut
    if re.match(r"[A-Z][a-z]|A ", text):
        text = text[0].lower() + text[1:]
    return text


def declaration_of(item):
    """A function's declaration as the SYNOPSIS shows it: without what only compilers read."""
    text = re.sub(r"/\*.*?\*/", "", item.text, flags=re.S)
    text = re.sub(r"\{.*\}\s*$", ";", text, flags=re.S)
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)(?=\s*[;_]|\s*$)", "", text, flags=re.S)
    text = re.sub(r"COSY_COLOUR_\((?:[^()]|\([^()]*\))*\)", "", text)
    text = re.sub(r"\b(?:static inline|cosy_unchecked|extern)\b", "", text)
    return re.sub(r"\s+;", ";", " ".join(text.split()))


def synopsis_of(item, group):
    if item.kind == "function":
        return [declaration_of(item)]
    shapes = shape_of(item, group)
    if shapes:
        return shapes
    return [item.name + (item.parameters or "")]


def called_by(item, header, seen=()):
    """The private functions behind a macro, through other macros too; a function stands for itself."""
    if item.kind == "function":
        return [item.name]
    names = []
    for name in re.findall(r"\b(?:cosy|COSY)_\w+_\b", item.text):
        inner = header.macros.get(name) or header.macros.get(name + "1_")  # pasted together with a count
        if name in header.marks:
            names.append(name)
        elif inner and name not in seen:
            names += called_by(inner, header, seen + (name,))
    return names


def marks_of(item, header):
    """Async or blocking: what the declaration says, or that of the functions which a macro calls."""
    return set().union(*(header.marks[name] for name in called_by(item, header)))


def needs_shape(item, header):
    """A macro that stands for a function, or takes any arguments, says nothing of types and arguments by itself."""
    return item.kind == "macro" and item.parameters and ("..." in item.parameters or bool(called_by(item, header)))


def faults_of(headers, strays):
    faults = ["cosy.h does not include cosy/%s.h" % name for name in strays]
    for header in headers:
        if not re.match(r"cosy/%s\.h - .+" % header.room, header.comment):
            faults.append("%s:1: begins with no comment 'cosy/%s.h - what it is for'" % (header.path, header.room))
        for group in header.groups:
            faults += faults_of_group(header, group)
    return faults


def faults_of_group(header, group):
    faults = []
    for item in group.pages() + group.types():
        place = "%s:%d: %s" % (header.path, item.line, item.name or "an enum")
        if not body_of(group).strip() and not item.remark:
            faults.append(place + " has no description")
        elif needs_shape(item, header) and not shape_of(item, group):
            faults.append(place + " is called as a function, and its comment does not begin with its shape")
        elif item.kind != "type" and not 4 <= len(summary_of(group)) <= SUMMARY_MAX:
            faults.append(place + " has no short first sentence: '%s'" % summary_of(group))
    return faults


# ---- writing ----

def escape_code(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    return "\\&" + text if text.startswith(".") else text


def escape(text):
    text = text.replace("\\", "\\e").replace("`", "\\(ga")
    text = re.sub(r"(?<![\w.])-(?=[\w])", "\\-", text)
    return "\\&" + text if text[:1] in (".", "'") else text


class Roff:
    """Collects a page; knows which names have pages of their own."""

    def __init__(self, name, section, manual, known):
        self.name, self.known = name, known
        self.lines = ['.TH "%s" "%d" "" "cosy %s" "cosy manual"' % (name, section, manual)]

    def heading(self, text):
        self.lines.append('.SH "%s"' % text)

    def subheading(self, text):
        self.lines.append('.SS "%s"' % escape(text))

    def code(self, lines):
        self.lines += [".EX"] + [escape_code(line) for line in lines] + [".EE"]

    def reference(self, match):
        name = match.group()
        if name in self.known and name != self.name:
            return "\\fB%s\\fP(%d)" % (name, self.known[name])
        return "\\fB%s\\fP" % name if name in self.known else name

    def words(self, text):
        text = re.sub(r"`([^`]*)`", "\\1", text)
        text = escape(" ".join(text.split()))
        self.lines.append(re.sub(r"\b(?:cosy|COSY)[_-]\w+(?!\w|\(\w)", self.reference, text))

    def text(self, text):
        """Paragraphs, lists and code."""
        lines, at, paragraph = text.split("\n"), 0, []

        def flush():
            if paragraph:
                self.words(" ".join(paragraph))
                paragraph.clear()

        while at < len(lines):
            line = lines[at]
            listed = re.match(r"( {0,3})(\d+\.|-) +(.*)", line)
            if not line.strip():
                flush()
                if at + 1 < len(lines):
                    self.lines.append(".PP")
            elif listed:
                flush()
                self.lines.append('.IP "%s" 4' % ("\\(bu" if listed.group(2) == "-" else listed.group(2)))
                paragraph.append(listed.group(3))
                indent = len(listed.group(1)) + 2
                while at + 1 < len(lines) and re.match(" {%d,}\\S" % indent, lines[at + 1]) and not re.match(
                        r" {0,3}(\d+\.|-) ", lines[at + 1]):
                    at += 1
                    paragraph.append(lines[at].strip())
                flush()
                if at + 1 < len(lines) and lines[at + 1].strip() and not re.match(r" {0,3}(\d+\.|-) ", lines[at + 1]):
                    self.lines.append(".PP")
            elif line.startswith("    "):
                flush()
                block = [line]
                while at + 1 < len(lines) and (lines[at + 1].startswith("    ") or (
                        not lines[at + 1].strip() and at + 2 < len(lines) and lines[at + 2].startswith("    "))):
                    at += 1
                    block.append(lines[at])
                self.lines.append(".PP")
                self.code(block)
                self.lines.append(".PP")
            else:
                paragraph.append(line)
            at += 1
        flush()

    def see_also(self, names):
        self.heading("SEE ALSO")
        unique = list(dict.fromkeys(name for name in names if name != self.name))
        for n, name in enumerate(unique):
            self.lines.append(".BR %s (%d)%s" % (escape_code(name), self.known[name], "," if n + 1 < len(unique) else ""))

    def result(self):
        tidy = []
        for line in self.lines:
            if line == ".PP" and tidy and (tidy[-1] == ".PP" or tidy[-1].startswith(".SH") or tidy[-1].startswith(".SS")):
                continue
            if (line.startswith(".SH") or line.startswith(".IP")) and tidy and tidy[-1] == ".PP":
                tidy.pop()
            tidy.append(line)
        while tidy[-1] == ".PP":
            tidy.pop()
        return "\n".join(tidy) + "\n"


CONTEXT = {
    "cosy_async": "Async: call it from a task, that is, from async functions. It may suspend the task.",
    "cosy_blocking": "Blocking: it holds up the whole thread, or runs a loop of its own. Never call it from async functions.",
    "": "Neither suspends a task nor blocks.",
}


def write_context(page, header, group):
    contexts = {}
    for item in group.pages():
        if not called_by(item, header):
            continue
        marks = marks_of(item, header)
        mark = "cosy_async" if "cosy_async" in marks else "cosy_blocking" if "cosy_blocking" in marks else ""
        contexts.setdefault(mark, []).append(item.name)
    if not contexts:
        return
    page.heading("CONTEXT")
    for mark, names in contexts.items():
        page.words((", ".join(names) + ": " if len(contexts) > 1 else "") + CONTEXT[mark])
        page.lines.append(".PP")
    page.words("%s says which thread may call it and who owns what." % header.page)


def neighbours(header, group):
    """The pages around this one, in the same section of the header first."""
    groups = [other for other in header.groups if other.pages()]
    here = groups.index(group)
    near = sorted(groups, key=lambda other: (other.section != group.section, abs(groups.index(other) - here)))
    return [item.name for other in near[1:6] for item in other.pages()[:1]]


def function_page(header, group, version, known):
    items = group.pages()
    page = Roff(items[0].name, 3, version, known)
    page.heading("NAME")
    page.lines.append("%s \\- %s" % (", ".join(escape_code(item.name) for item in items), escape(summary_of(group))))
    page.heading("SYNOPSIS")
    page.code(["#include <cosy.h>", ""] + [line for item in items for line in synopsis_of(item, group)])
    page.heading("DESCRIPTION")
    page.text(body_of(group))
    for item in items:
        if item.remark:
            page.lines += [".TP", "\\fB%s\\fP" % escape_code(item.name)]
            page.words(item.remark)
    types = group.types()
    if types:
        page.lines.append(".PP")
        page.code(type_lines(types))
    write_context(page, header, group)
    mentioned = [name for name in re.findall(r"\b(?:cosy|COSY)_\w+", group.comment) if name in known]
    own = {item.name for item in items}
    page.see_also([header.page] + [name for name in mentioned if name not in own] + neighbours(header, group))
    return page.result()


def type_lines(types):
    """Definitions as they stand; structs whose fields are all private are shown closed."""
    lines = []
    for item in types:
        text = item.text
        fields = re.search(r"\{(.*)\}", text, re.S)
        if fields and text.startswith(("typedef struct", "struct")):
            inner = re.sub(r"/\*.*?\*/", "", fields.group(1), flags=re.S)
            outer = re.sub(r"\{[^{}]*\}", "", inner)
            names = re.findall(r"(\w+)(?:\[[^]]*\])?\s*;", outer)
            if names and all(name.endswith("_") for name in names):
                text = text[:fields.start(1)] + " /* private */ " + text[fields.end(1):]
        if item.remark:
            text += " /* %s */" % " ".join(item.remark.split())
        lines += text.split("\n")
    return lines


def write_types(page, header):
    groups = [group for group in header.groups if group.types() and not group.pages()]
    groups += [group for group in header.groups if group.types() and group.pages()]
    if not groups:
        return
    page.heading("TYPES")
    for group in groups:
        if not group.pages():
            page.text(body_of(group))
        page.lines.append(".PP")
        page.code(type_lines(group.types()))
        page.lines.append(".PP")


def write_values(page, group):
    """A list made for X macros, X(name, number, title, text): what each name means."""
    for item in group.pages():
        values = re.findall(r'\bX\((\w+), *\w+, *"([^"]*)", *"([^"]*)"\)', item.text)
        if values:
            page.heading("VALUES OF " + item.name)
        for name, title, text in values:
            page.lines += [".TP", "\\fB%s\\fP" % escape_code(name), escape("%s: %s" % (title, text))]


def write_list(page, header):
    section = None
    page.heading("FUNCTIONS AND MACROS")
    for group in header.groups:
        items = group.pages()
        if not items:
            continue
        if group.section != section:
            section = group.section
            if section:
                page.subheading(section)
        page.lines.append(".TP")
        page.lines.append(", ".join("\\fB%s\\fP(3)" % escape_code(item.name) for item in items))
        page.lines.append(escape(summary_of(group)))


def header_page(header, version, known, others):
    page = Roff(header.page, 7, version, known)
    first, _, rest = header.comment.partition("\n")
    summary = re.sub(r"^cosy/?\w*\.h - ", "", first).rstrip(".")
    page.heading("NAME")
    page.lines.append("%s \\- %s" % (escape_code(header.page), escape(re.sub(r"\. .*", "", summary))))
    page.heading("SYNOPSIS")
    page.code(["#include <cosy.h>"])
    page.heading("DESCRIPTION")
    page.text(rest.strip("\n") or summary + ".")
    write_types(page, header)
    if any(group.pages() for group in header.groups):
        write_list(page, header)
    for group in header.groups:
        write_values(page, group)
    page.see_also(["cosy"] + others)
    return page.result()


def umbrella_page(umbrella, headers, version, known):
    page = Roff("cosy", 7, version, known)
    page.heading("NAME")
    page.lines.append("cosy \\- asyncio for C")
    page.heading("SYNOPSIS")
    page.code(["#include <cosy.h>"])
    page.heading("DESCRIPTION")
    page.words("One header gives everything. It has a part for each room of the library, and each part a page:")
    for header in headers:
        summary = re.sub(r"^cosy/\w+\.h - ", "", header.comment.partition("\n")[0])
        page.lines += [".TP", "\\fB%s\\fP(7)" % escape_code(header.page)]
        page.words(re.sub(r"\. .*", ".", summary))
    page.heading("COMPILING")
    page.code(["cc -std=gnu17 program.c $(pkg-config --cflags --libs cosy)", "cosy run program.c"])
    page.see_also([header.page for header in headers])
    return page.result()


def pages_of(headers_folder):
    """{path below the output folder: text}."""
    umbrella, headers, _ = read_headers(headers_folder)
    version = re.search(r'#define COSY_VERSION "(.*)"', next(h for h in headers if h.room == "version").source).group(1)
    known = {"cosy": 7}
    for header in headers:
        known[header.page] = 7
        known.update({item.name: 3 for group in header.groups for item in group.pages()})
    pages = {"man7/cosy.7": umbrella_page(umbrella, headers, version, known)}
    for header in headers:
        used = ["cosy-" + name for name in re.findall(r'#include "(\w+)\.h"', header.source)]
        pages["man7/%s.7" % header.page] = header_page(header, version, known, [name for name in used if name in known])
        for group in header.groups:
            items = group.pages()
            if not items:
                continue
            pages["man3/%s.3" % items[0].name] = function_page(header, group, version, known)
            for item in items[1:]:
                pages["man3/%s.3" % item.name] = ".so man3/%s.3\n" % items[0].name
    return pages


def write_pages(output, pages):
    for section in ("man3", "man7"):
        shutil.rmtree(os.path.join(output, section), ignore_errors=True)
        os.makedirs(os.path.join(output, section))
    for path, text in pages.items():
        with open(os.path.join(output, path), "w") as file:
            file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", help="write the pages below this folder")
    parser.add_argument("--check", action="store_true", help="name what is not documented")
    parser.add_argument("headers", help="the folder that holds cosy.h and cosy/")
    options = parser.parse_args()
    status = 0
    if options.check:
        _, headers, strays = read_headers(options.headers)
        faults = faults_of(headers, strays)
        print("\n".join(faults) if faults else "everything public is documented")
        status = 1 if faults else 0
    if options.output:
        write_pages(options.output, pages_of(options.headers))
    return status


if __name__ == "__main__":
    sys.exit(main())
