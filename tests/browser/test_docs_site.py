"""The built site, read as its visitors read it: in a browser, on a desk and on a phone, in light and in dark.

`make docs` builds it; `make browser` runs these. Without a Chromium, or the `playwright` package, they are skipped.
"""
import importlib
import inspect
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urlsplit

import mfr
import pytest
from mfr._modidx import d

SITE = Path(__file__).resolve().parents[2] / "docs/_build/html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
DESK, WIDE, PHONE = ({"width": w, "height": 900} for w in (1280, 1440, 390))

if not (SITE / "index.html").exists(): pytest.skip("no site in docs/_build/html: make docs", allow_module_level=True)


class Page(HTMLParser):
    "What a page links to, and what can be linked to in it."

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.ids, self.alts, self.title, self._in_title = [], set(), [], "", False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        at = dict(attrs)
        if "id" in at: self.ids.add(at["id"])
        if tag == "a" and at.get("href"): self.links.append(at["href"])
        if tag == "img": self.alts.append(at.get("alt") or "")
        if tag == "title": self._in_title = not self.title

    def handle_endtag(self, tag): self._in_title = self._in_title and tag != "title"

    def handle_data(self, data): self.title += data * self._in_title


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    "Every page by its path in the site."
    return {p.relative_to(SITE).as_posix(): Page(p) for p in sorted(SITE.rglob("*.html")) if "_static" not in p.parts}


def written(pages) -> list[str]:
    "Pages to read, without listings of source code."
    return [name for name in pages if not name.startswith("_modules/")]


def test_every_page_has_a_title(pages):
    assert not [name for name, page in pages.items() if not page.title.strip()]
    titles = [pages[name].title for name in written(pages)]
    assert len(set(titles)) == len(titles)


def test_pictures_say_what_they_show(pages):
    "Words, not the name of a file."
    def mute(alt): return len(alt.split()) < 2 or re.search(r"[0-9a-f]{16}|\.(png|svg)$", alt)
    assert not [(name, alt) for name, page in pages.items() for alt in page.alts if mute(alt)]


def test_no_link_leads_nowhere(pages):
    broken = []
    for name, page in pages.items():
        for href in page.links:
            if urlsplit(href).scheme or href.startswith("//"): continue
            path, anchor = urldefrag(href)
            at = (SITE / name).parent / unquote(path) if path else SITE / name
            target = at.resolve().relative_to(SITE).as_posix()
            there = pages.get(target)
            if not (SITE / target).is_file() or (anchor and there and unquote(anchor) not in there.ids):
                broken.append((name, href))
    assert not broken


def test_no_reference_is_left_as_it_was_typed():
    left = re.compile(r"(?<![\w`/.])@(eq|fig|tbl)-\w|\{#(eq|tbl|fig)-|\{(py:\w+|eq|numref)\}`")
    texts = {p.name: p.read_text(encoding="utf-8") for p in SITE.glob("*.html")}
    found = {name: left.search(re.sub(r"<pre>.*?</pre>", "", text, flags=re.S)) for name, text in texts.items()}
    assert not {name: m[0] for name, m in found.items() if m}


def public_names() -> Iterator[str]:
    "What the modules offer and did not take from each other."
    for name in d["syms"]:
        module = importlib.import_module(name)
        for public in (n for n in module.__all__ if n[0] != "_"):
            thing = getattr(module, public)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)) or thing.__module__ == name:
                yield f"{name}.{public}"


def test_every_public_name_has_one_entry_in_the_reference(pages):
    entries = Counter(i for page in pages.values() for i in page.ids if i.startswith("mfr."))
    reference = {i for name, page in pages.items() if name.startswith("reference/") for i in page.ids}
    names = [*public_names(), *(f"mfr.sae.SAEStack.{m}" for m in "encode decode forward step member decoder".split())]
    assert not [n for n in names if n not in reference or entries[n] != 1]
    assert any("genindex" in link for link in pages["reference/index.html"].links)


# --- in the browser ----------------------------------------------------------------------------------------------
class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_): pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    "The site, served to this machine alone."
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None: pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


OVERFLOWING = """() => {
  for (const fold of document.querySelectorAll('article details')) fold.open = true;
  return [...document.querySelectorAll('article pre')]
    .filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).filter(%s).map(e => e.textContent.slice(0, 60))}"""
CUT = OVERFLOWING % "e => Math.max(...e.textContent.split('\\n').map(line => line.length)) <= 120"
HIDDEN = OVERFLOWING % "e => !['auto', 'scroll'].includes(getComputedStyle(e).overflowX)"
MATHS = """async () => {
  if (!document.querySelector('.math')) return [];
  await MathJax.startup.promise;
  return [...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container')
    || e.querySelector('[data-mml-node=merror]')).map(e => e.textContent.slice(0, 60))}"""
OVER = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
PALE = """(theme) => {
  document.body.dataset.theme = theme;
  const rgb = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * linear(c[0] / 255) + .7152 * linear(c[1] / 255) + .0722 * linear(c[2] / 255);
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length && (c[3] === undefined || c[3] > .5)) return c } return [255, 255, 255] };
  const found = new Set();
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg, mjx-container, .visually-hidden, script, style') || !e.checkVisibility()) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const s = getComputedStyle(e), size = parseFloat(s.fontSize);
    if (+s.opacity < 1 || s.visibility === 'hidden' || size === 0) continue;
    const [a, b] = [light(rgb(s.color)), light(ground(e))], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const needed = size >= 24 || (size >= 18.66 && s.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < needed) found.add(`${theme}: ${e.tagName}.${e.className} ${s.color} ${ratio.toFixed(2)}`);
  }
  return [...found].slice(0, 5)}"""


@pytest.fixture(scope="module")
def seen(browser, address, pages) -> dict[str, dict[str, list]]:
    "Every page, looked at once: what is wrong with it, check by check."
    found, tab = {}, browser.new_page(viewport=DESK)
    errors: list[str] = []
    tab.on("console", lambda message: message.type == "error" and errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda r: r.url.startswith((address, "data:", "blob:")) or errors.append(f"asked for {r.url}"))
    for name in written(pages):
        errors.clear()
        tab.set_viewport_size(DESK)
        tab.goto(f"{address}/{name}")
        looks = {"maths": tab.evaluate(MATHS), "hidden": tab.evaluate(HIDDEN), "cut": tab.evaluate(CUT)}
        tab.set_viewport_size(WIDE)
        looks["cut"] += tab.evaluate(CUT)
        looks["pale"] = tab.evaluate(PALE, "light") + tab.evaluate(PALE, "dark")
        tab.set_viewport_size(PHONE)
        over = tab.evaluate(OVER)
        found[name] = looks | {"sideways": [over] * (over > 0), "errors": list(errors)}
    tab.close()
    return found


@pytest.mark.parametrize("check", ["errors", "maths", "cut", "hidden", "sideways", "pale"])
def test_pages(seen, check):
    """No error in the console and nothing asked of the network; maths rendered; lines of up to 120 columns whole on a
    desk, longer ones in boxes that scroll; nothing to scroll sideways on a phone; text dark or light enough to read."""
    assert not {name: looks[check] for name, looks in seen.items() if looks[check]}


def test_search_leads_to_the_reference(browser, address):
    "Each public name, and what people call a stack's methods by: the first thing found is its entry."
    tab, wrong = browser.new_page(), {}
    for name in [*mfr.__all__, "encode", "decoder", "SAEStack.encode", "Code.dense"]:
        tab.goto(f"{address}/search.html?q={name}")
        tab.wait_for_selector("#search-results ul.search li a", timeout=20_000)
        tab.wait_for_function("document.querySelector('#search-results h2')?.textContent !== 'Searching'")
        first = tab.locator("#search-results ul.search li a").first.get_attribute("href")
        if not re.search(rf"reference/\w+\.html#mfr\.[\w.]*\b{re.escape(name)}$", first): wrong[name] = first
    tab.close()
    assert not wrong
