"""Let Sphinx read nbdev notebooks straight from `nbs/`: nbdev's directives and Quarto's markup become MyST's.

The notebooks stay plain nbdev + Quarto, so `nbdev_docs` renders the same sources on a machine that has Quarto.
"""
from __future__ import annotations

import importlib
import inspect
import json
import re
from functools import cache, cached_property, reduce
from pathlib import Path

import yaml
from execnb.nbio import dict2nb, mk_cell, nb2str
from fastcore.docments import docments, docstring
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup, _get_exps
from nbdev.frontmatter import FrontmatterProc
from nbdev.process import NBProcessor, Processor
from nbdev.processors import (
    _is_showdoc,
    add_show_docs,
    clean_magics,
    filter_stream_,
    hide_,
    hide_line,
    mv_exports,
    populate_language,
    rm_export,
    rm_header_dash,
    strip_ansi,
    strip_hidden_metadata,
)
from sphinx.domains.python import PythonDomain
from sphinx.util import inspect as sphinx_inspect

# --- symbols -----------------------------------------------------------------------------------------------------
_own = ""  # the module of the page being read: among equal short names, its own come first
_page = ""  # and its name


@cache
def public() -> dict[str, list[str]]:
    "The public names of every module, without those that it took from another."
    syms = importlib.import_module(f"{get_config().lib_path.name}._modidx").d["syms"]
    modules = {name: importlib.import_module(name) for name in syms}
    def at_home(mod, name):
        thing = getattr(mod, name)
        return not (inspect.isclass(thing) or inspect.isfunction(thing)) or thing.__module__ == mod.__name__
    return {m: [n for n in mod.__all__ if n[0] != "_" and at_home(mod, n)] for m, mod in modules.items()}


def members(cls: type) -> list[str]:
    "The public methods and properties of a class, those it has of classes of ours among them, its own first."
    kinds, ours = (classmethod, staticmethod, property, cached_property), f"{get_config().lib_path.name}."
    found = {}
    for c in cls.__mro__:
        if c.__module__.startswith(ours): found = found | {k: v for k, v in vars(c).items() if k not in found}
    found = {k: v for k, v in found.items() if k[0] != "_" or (k in CALLS and inspect.getdoc(v))}
    return [k for k, v in found.items() if isinstance(v, kinds) or inspect.isfunction(v)]


CALLS = ("__call__", "__iter__", "__len__", "__getitem__")


@cache
def _symbols(own: str) -> dict[str, str]:
    syms = importlib.import_module(f"{get_config().lib_path.name}._modidx").d["syms"]
    names = {}
    for mod in sorted(syms, key=lambda m: m == own):
        here = [*syms[mod], *(f"{mod}.{n}" for n in public()[mod])]
        for name in public()[mod]:
            if inspect.isclass(cls := getattr(importlib.import_module(mod), name)):
                here += [f"{mod}.{name}.{k}" for k in members(cls)]
        names |= {name: mod for full in here for name in (full, full.removeprefix(f"{mod}."))}
    return names


def symbols() -> dict[str, str]:
    "Map each exported name, short and qualified, to its module."
    return _symbols(_own)


class Lookup(NbdevLookup):
    "nbdev's back-tick links, as Sphinx cross-references in place of web addresses."

    _ticks = re.compile(r"(?<!`)`([^`\s]+?)(?:\(\))?`(?!`)")

    def link_line(self, line): return self._ticks.sub(self._link_sym, line)

    def _link_sym(self, m):
        name = m.group(1)
        mod = symbols().get(name)
        if mod is None: return m.group(0)
        target = name if name.startswith(mod) else f"{mod}.{name}"
        shown = name + "()" * m.group(0).endswith("()`")
        return f"{{py:obj}}`{shown} <{target}>`"


class Shown:
    "A default value by its name, or `...` where Python would print something that does not parse."
    def __init__(self, v): self.text = r if (r := repr(v))[:1] != "<" else getattr(v, "__name__", "...")
    def __repr__(self): return self.text


def tidy(sig: inspect.Signature) -> inspect.Signature:
    "A signature as one would write it: `Annotated[X, ...]` is an X, a default is shown by its name."
    def plain(p):
        if hasattr(p.annotation, "__metadata__"): p = p.replace(annotation=p.annotation.__origin__)
        return p if p.default is p.empty else p.replace(default=Shown(p.default))
    return sig.replace(parameters=[plain(p) for p in sig.parameters.values()])


def listed(mod: str, name: str) -> bool:
    "Is this a public name, or a public method of one? Its entry then stands in the reference."
    head, *rest = name.split(".")
    return head in public()[mod] and (not rest or rest[0] in members(getattr(importlib.import_module(mod), head)))


def kind_of(owner: object, last: str) -> str:
    "Which of Sphinx's `py:` directives describes it."
    obj, raw = getattr(owner, last), inspect.getattr_static(owner, last)
    if inspect.isclass(obj): return "class"
    if inspect.ismodule(owner): return "function" if callable(obj) and hasattr(obj, "__code__") else "data"
    if isinstance(raw, (property, cached_property)): return "property"
    return {classmethod: "classmethod", staticmethod: "staticmethod"}.get(type(raw), "method")


def returned(raw) -> str:
    "What a property gives."
    ann = (raw.fget if isinstance(raw, property) else raw.func).__annotations__.get("return")
    return f"\n:type: {sphinx_inspect.stringify_annotation(ann, 'smart').lstrip('~')}" if ann else ""


def constant(mod: str, name: str) -> str:
    "A constant's line of source, with the comment that says what it is."
    lines = inspect.getsource(importlib.import_module(mod)).splitlines()
    at = next((i for i, ln in enumerate(lines) if re.match(rf"{name}\b[^=]*=(?!=)", ln)), None)
    if at is None: return ""
    end = next(i for i in range(at, len(lines)) if _whole("\n".join(lines[at : i + 1])))
    return "```python\n" + "\n".join(lines[at : end + 1]) + "\n```"


def _whole(text: str) -> bool:
    try: return bool(compile(text, "", "exec"))
    except SyntaxError: return False


def notes(obj: object) -> dict[str, str]:
    "What the comments beside parameters say, by name; of a NamedTuple, those beside its fields."
    if inspect.isclass(obj) and hasattr(obj, "_fields"):
        found = re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(obj), re.M)
        return {k: note for k, note in found if k in obj._fields}
    said = {k: v.get("docment") for k, v in docments(obj, full=True).items() if k != "self"}
    return {k: " ".join(note.split()) for k, note in said.items() if note}


def api(name: str, mod: str | None = None, home: bool = False) -> str | None:
    """One symbol of the package as a MyST `py:` directive, its parameters' notes taken from nbdev's docments.

    Links and search lead to the reference, `home`, where classes have their methods; elsewhere they are named."""
    mod = mod or symbols().get(name)
    if mod is None: return None
    *outer, last = name.split(".")
    owner = reduce(getattr, outer, importlib.import_module(mod))
    obj, raw, kind = getattr(owner, last), inspect.getattr_static(owner, last), kind_of(owner, last)
    sig, fields, opts = "", [], f":module: {mod}"
    if not home: opts += "\n:no-index:" if listed(mod, name) else "\n:no-index-entry:"
    if kind == "property": opts += returned(raw)
    if callable(obj) and kind != "data" and not (inspect.isclass(obj) and issubclass(obj, BaseException)):
        s = tidy(sphinx_inspect.signature(obj, bound_method=kind == "method"))
        if kind == "class": s = s.replace(return_annotation=inspect.Signature.empty)
        sig = sphinx_inspect.stringify_signature(s, unqualified_typehints=True)
        fields = [f":returns: {n}" if k == "return" else f":param {k}: {n}" for k, n in notes(obj).items()]
    said = constant(mod, name) if kind == "data" else quarto2myst(docstring(obj if kind != "property" else raw))
    if kind == "class" and said.startswith(f"{last}("): said = ""  # what dataclasses say of themselves
    parts = [said, "\n".join(map(Lookup().link_line, fields))]
    methods = members(obj) if kind == "class" else []
    if home: parts += [api(f"{name}.{k}", mod, home) for k in methods]
    elif methods and listed(mod, name):
        parts.append("Methods: " + ", ".join(f"{{py:obj}}`{k} <{mod}.{name}.{k}>`" for k in methods) + ".")
    fence = "`" * (12 - 2 * name.count("."))
    shown = last if home else name
    return f"{fence}{{py:{kind}}} {shown}{sig}\n{opts}\n\n" + "\n\n".join(filter(None, parts)) + f"\n{fence}"


# --- markdown ----------------------------------------------------------------------------------------------------
_open = re.compile(r"^(:{3,})\s*\{\s*\.callout-(\w+)(.*?)\}\s*$")
_attr = re.compile(r'([\w-]+)\s*=\s*"([^"]*)"|([\w-]+)\s*=\s*(\S+)')


def _callouts(lines: list[str]) -> list[str]:
    "Quarto's `::: {.callout-note}` to MyST's `:::{note}`; the first heading inside is the title."
    res, i = [], 0
    while i < len(lines):
        m = _open.match(lines[i])
        if not m:
            res.append(lines[i])
            i += 1
            continue
        fence, kind, rest = m.groups()
        end = next((j for j in range(i + 1, len(lines)) if lines[j].strip() == fence), len(lines))
        body = _callouts(lines[i + 1 : end])
        at = {a or c: b or d for a, b, c, d in _attr.findall(rest)}
        while body and not body[0].strip(): body.pop(0)
        title = at.get("title")
        if title is None and body and (h := re.match(r"#+\s+(.*)", body[0])): title, body = h[1], body[1:]
        title = title or kind.title()
        fold = at.get("collapse") in ("true", "false")
        head = f"{fence}{{{'dropdown' if fold else 'admonition'}}} {title}"
        opts = [f":color: {_color[kind]}", ":icon: info"] if fold else [f":class: {kind}"]
        if at.get("collapse") == "false": opts.append(":open:")
        res += [head, *opts, "", *body, fence]
        i = end + 1
    return res


_color = dict(note="info", tip="success", important="primary", warning="warning", caution="danger")


_tagged = re.compile(r"^(\$\$[^$]*?\\tag\{(\d)\}[^$]*?\$\$)", re.M)
_table = re.compile(r"((?:^\|.*\n)+)\n:\s+(.*?)\s*\{#(tbl-[\w-]+)\}[ ]*$", re.M)


def quarto2myst(src: str) -> str:
    "The part of Quarto's markdown that the notebooks may use, as MyST."
    src = Lookup().linkify(src) or ""
    src = "\n".join(_callouts(src.splitlines()))
    src = _table.sub(r":::{table} \2\n:name: \3\n\n\1:::", src)
    src = _tagged.sub(rf"\n(eq-{_page}-\2)=\n\1", src)  # an equation that is spoken of: "equation (1)" leads to it
    src = re.sub(r"\b([Ee]quation) \((\d)\)", rf"[\1 (\2)](#eq-{_page}-\2)", src)
    src = re.sub(r"\$\$\s*\{#(eq-[\w-]+)\}", r"$$ (\1)", src)
    src = re.sub(r"(?<![\w`{(])@(eq-[\w-]+)", r"{eq}`\1`", src)
    src = re.sub(r"(?<![\w`{(])@((?:fig|tbl)-[\w-]+)", r"{numref}`\1`", src)
    return src


# --- cells -------------------------------------------------------------------------------------------------------
_opt = re.compile(r"^#\|\s*([\w-]+):\s*(.*?)\s*$")


class Head(Processor):
    "Turn the front matter that `FrontmatterProc` gathered back into a heading and a lead."
    def begin(self):
        fm = getattr(self.nb, "frontmatter_", {})
        self.nb.cells = [c for c in self.nb.cells if c.cell_type != "raw"]
        if fm.get("title"):
            lead = f"\n\n```{{rst-class}} lead\n```\n{fm['description']}" if fm.get("description") else ""
            self.nb.cells.insert(0, mk_cell(f"# {fm['title']}{lead}", "markdown"))


def show_docs(cell):
    "Replace `show_doc(x)` by `x`'s API entry."
    if not _is_showdoc(cell): return
    name = re.match(r"show_doc\(\s*([\w.]+)", cell.source)[1]
    if (md := api(name)) is not None:
        cell.cell_type, cell.source = "markdown", md
        for key in ("outputs", "execution_count", "has_sd"): cell.pop(key, None)
    else: cell.source = f"#| echo: false\n{cell.source}"  # someone else's symbol: keep the output saved in the notebook


def options(cell):
    "Quarto's cell options to MyST-NB's tags and metadata, and fold what `exports` shows."
    if cell.cell_type != "code": return
    opts, lines = {}, cell.source.splitlines()
    while lines and (m := _opt.match(lines[0])):
        opts[m[1]] = yaml.safe_load(m[2])
        lines.pop(0)
    if opts.get("include") is False or not lines:
        cell.source = None
        return
    cell.source, nb = "\n".join(lines), {}
    if "exports" in cell.directives_: opts |= {"code-fold": True, "code-summary": cell.get("summary_", "Source")}
    if "test" in cell.directives_: opts |= {"code-fold": True, "code-summary": "Tests"}
    tags = ["remove-input"] * (opts.get("echo") is False) + ["remove-output"] * (opts.get("output") is False)
    tags += ["remove-stderr"] * (opts.get("warning") is False)
    if opts.get("code-fold"):
        tags.append("hide-input")
        nb["code_prompt_show"] = nb["code_prompt_hide"] = opts.get("code-summary", "Code")
    if opts.get("fig-cap"): nb["figure"] = {"caption": opts["fig-cap"], "name": opts.get("label", "")}
    if has_image(cell): nb["image"] = {"alt": plain(opts.get("fig-alt") or opts.get("fig-cap") or cell.heading_)}
    cell.metadata["tags"] = tags
    if nb: cell.metadata["mystnb"] = nb


def loose_ends(cell):
    "Links within an output to what stands elsewhere in a report lead nowhere here: their words stay."
    for data in (out.get("data", {}) for out in cell.get("outputs", [])):
        if html := "".join(data.get("text/html", "")):
            data["text/html"] = re.sub(r'<a [^>]*href="#[^"]*"[^>]*>(.*?)</a>', r"\1", html, flags=re.S)


def has_image(cell) -> bool:
    return any(kind.startswith("image/") for out in cell.get("outputs", []) for kind in out.get("data", {}))


def plain(text: str) -> str:
    "Words without markup, for those who hear a page."
    return " ".join(re.sub(r"[`*$]|\\[(]|\\[)]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)).split())


def prose(cell):
    if cell.cell_type == "markdown" and "{py:" not in cell.source[:18]: cell.source = quarto2myst(cell.source)


class Together(Processor):
    "Neighbouring cells of sources, or of tests, are one: one toggle, not a pile of them. Cells learn their heading."
    def begin(self):
        kept, heading = [], ""
        for cell in self.nb.cells:
            if cell.cell_type == "markdown" and (h := re.findall(r"^#+ +(.*)", cell.source, re.M)):
                heading = f"{heading.split(': ')[0]}: {h[-1]}" if heading else h[-1]
            cell.heading_ = heading
            last = kept[-1] if kept else None
            if last is not None and (way := self.folded(cell)) and way == self.folded(last): self.join(last, cell)
            else: kept.append(cell)
        for cell, before in zip(kept[1:], kept):
            if self.folded(cell) == "exports": self.title(cell, before)
        self.nb.cells = kept

    def folded(self, cell):
        if cell.cell_type != "code" or _is_showdoc(cell): return None
        return next((d for d in ("exports", "test") if d in cell.directives_), None)

    def join(self, a, b):
        a.source = a.source.rstrip() + "\n\n\n" + re.sub(r"^(#\|.*\n)+", "", b.source)
        a.outputs = [*a.get("outputs", []), *b.get("outputs", [])]

    def title(self, cell, before):
        "Below an entry it is that entry's source; elsewhere a toggle says whose it is."
        own = re.match(r"``+\{py:\w+\} ([\w.]+)", before.source) if before.cell_type == "markdown" else None
        names = re.findall(r"^(?:async )?(?:def|class) (\w+)", cell.source, re.M)
        others = [n for n in names if not own or n != own[1]]
        cell.summary_ = "Source" if not others else f"Source, with {', '.join(others)}" if own else (
            f"Source of {', '.join(others)}")


PROCS = [FrontmatterProc, populate_language, add_show_docs, strip_ansi, hide_line, filter_stream_, rm_header_dash,
         mv_exports, rm_export, clean_magics, hide_, Head, prose, show_docs, Together, options, loose_ends,
         strip_hidden_metadata]


def convert(text: str, path: str, extra: str = "") -> str:
    "The text of the notebook at `path` with everything that nbdev and Quarto would have done to it."
    global _own, _page
    _page = Path(path).stem
    exp = re.search(r"#\|\s*default_exp\s+([\w.]+)", text)
    _own = f"{get_config().lib_path.name}.{exp[1]}" if exp else ""
    nb = dict2nb(json.loads(text))
    nb.path_ = path
    for c in nb.cells:  # show the source of what is exported, folded, under its API entry
        if c.cell_type == "code" and re.search(r"^(def|class) ", c.source, re.M):
            c.source = re.sub(r"^#\|\s*export\b", "#| exports", c.source)
    NBProcessor(nb=nb, procs=PROCS).process()
    if extra: nb.cells.append(mk_cell(extra, "markdown"))
    return nb2str(nb)


# --- Sphinx ------------------------------------------------------------------------------------------------------
def source_read(app, docname, source):
    path = app.env.doc2path(docname)
    if not str(path).endswith(".ipynb"): return
    toc = app.config.nbdev_toctree if docname == app.config.root_doc else ""
    source[0] = convert(source[0], str(path), toc)


def find_source(app, modname):
    "Tell `viewcode` where `@patch`ed methods are: their names in the file differ from the documented ones."
    from sphinx.pycode import ModuleAnalyzer
    if modname not in importlib.import_module(f"{get_config().lib_path.name}._modidx").d["syms"]: return None
    an = ModuleAnalyzer.for_module(modname)
    an.find_tags()
    tags = dict(an.tags)
    for nm in _get_exps(modname.replace(".", "/") + ".py"):
        short = nm.split(".")[-1]
        if nm not in tags and tags.get(short): tags[nm] = tags[short]
    return an.code, tags


class Domain(PythonDomain):
    "Sphinx's, but a search finds the names of `from mfr import ...` before others that are called the same."

    def get_objects(self):
        package = importlib.import_module(get_config().lib_path.name)
        first = {f"{mod}.{n}" for mod, names in public().items() for n in names if n in package.__all__
                 and getattr(importlib.import_module(mod), n) is getattr(package, n)}
        for name, *rest, priority in super().get_objects(): yield name, *rest, 0 if name in first else priority


def setup(app):
    app.add_domain(Domain, override=True)
    app.add_config_value("nbdev_toctree", "", "env")
    app.connect("source-read", source_read)
    app.connect("viewcode-find-source", find_source)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
