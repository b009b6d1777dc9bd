"""Let Sphinx read nbdev notebooks straight from `nbs/`: nbdev's directives and Quarto's markup become MyST's.

The notebooks stay plain nbdev + Quarto, so `nbdev_docs` renders the same sources on a machine that has Quarto.
"""
from __future__ import annotations

import importlib
import inspect
import json
import re
from functools import cache, reduce

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
from sphinx.util import inspect as sphinx_inspect

# --- symbols -----------------------------------------------------------------------------------------------------
_own = ""  # the module of the page being read: among equal short names, its own come first


@cache
def _symbols(own: str) -> dict[str, str]:
    lib = get_config().lib_path.name
    syms = importlib.import_module(f"{lib}._modidx").d["syms"]
    modules = sorted(syms, key=lambda m: m == own)
    return {name: mod for mod in modules for full in syms[mod] for name in (full, full.removeprefix(f"{mod}."))}


def symbols() -> dict[str, str]:
    "Map each exported name, short and qualified, to its module, from nbdev's `_modidx.py`."
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


def api(name: str) -> str | None:
    "One symbol of the package as a MyST `py:` directive, its parameters' notes taken from nbdev's docments."
    mod = symbols().get(name)
    if mod is None: return None
    *outer, last = name.split(".")
    owner = reduce(getattr, outer, importlib.import_module(mod))
    obj, raw = getattr(owner, last), inspect.getattr_static(owner, last)
    kind = ("class" if inspect.isclass(obj) else "function" if "." not in name else
            "property" if isinstance(raw, property) else "classmethod" if isinstance(raw, classmethod) else
            "staticmethod" if isinstance(raw, staticmethod) else "method")
    sig, fields, opts = "", [], f":module: {mod}"
    if kind == "property" and (ann := raw.fget.__annotations__.get("return")):
        opts += f"\n:type: {sphinx_inspect.stringify_annotation(ann, 'smart').lstrip('~')}"
    if callable(obj) and not (inspect.isclass(obj) and issubclass(obj, BaseException)):  # exceptions have no signature
        s = tidy(sphinx_inspect.signature(obj, bound_method=kind == "method"))
        if kind == "class": s = s.replace(return_annotation=inspect.Signature.empty)
        sig = sphinx_inspect.stringify_signature(s, unqualified_typehints=True)
        for k, v in docments(obj, full=True).items():
            if k == "self" or not v.get("docment"): continue
            note = " ".join(v["docment"].split())
            fields.append(f":returns: {note}" if k == "return" else f":param {k}: {note}")
    body = "\n\n".join(filter(None, [quarto2myst(docstring(obj)), "\n".join(map(Lookup().link_line, fields))]))
    return f"``````{{py:{kind}}} {name}{sig}\n{opts}\n\n{body}\n``````"


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


_table = re.compile(r"((?:^\|.*\n)+)\n:\s+(.*?)\s*\{#(tbl-[\w-]+)\}[ ]*$", re.M)


def quarto2myst(src: str) -> str:
    "The part of Quarto's markdown that the notebooks may use, as MyST."
    src = Lookup().linkify(src) or ""
    src = "\n".join(_callouts(src.splitlines()))
    src = _table.sub(r":::{table} \2\n:name: \3\n\n\1:::", src)
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
    if (md := api(name)) is not None: cell.cell_type, cell.source = "markdown", md
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
    if "exports" in cell.directives_: opts |= {"code-fold": True, "code-summary": "Source"}
    tags = ["remove-input"] * (opts.get("echo") is False) + ["remove-output"] * (opts.get("output") is False)
    tags += ["remove-stderr"] * (opts.get("warning") is False)
    if opts.get("code-fold"):
        tags.append("hide-input")
        nb["code_prompt_show"] = nb["code_prompt_hide"] = opts.get("code-summary", "Code")
    if opts.get("fig-cap"): nb["figure"] = {"caption": opts["fig-cap"], "name": opts.get("label", "")}
    if opts.get("fig-alt"): nb["image"] = {"alt": opts["fig-alt"]}
    cell.metadata["tags"] = tags
    if nb: cell.metadata["mystnb"] = nb


def prose(cell):
    if cell.cell_type == "markdown" and "{py:" not in cell.source[:12]: cell.source = quarto2myst(cell.source)


PROCS = [FrontmatterProc, populate_language, add_show_docs, strip_ansi, hide_line, filter_stream_, rm_header_dash,
         mv_exports, rm_export, clean_magics, hide_, Head, prose, show_docs, options, strip_hidden_metadata]


def convert(text: str, path: str, extra: str = "") -> str:
    "The text of the notebook at `path` with everything that nbdev and Quarto would have done to it."
    global _own
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


def setup(app):
    app.add_config_value("nbdev_toctree", "", "env")
    app.connect("source-read", source_read)
    app.connect("viewcode-find-source", find_source)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
