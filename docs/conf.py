import sys
from importlib.util import find_spec
from pathlib import Path

here = Path(__file__).parent
sys.path.insert(0, str(here.parent))
sys.path.insert(0, str(here))
from nbdev.config import get_config
from pages import GROUPS

cfg = get_config(path=here.parent)
project, author, release = cfg.title, cfg.author, cfg.version
copyright = cfg.copyright
extensions = ["myst_nb", "sphinx_design", "sphinx_copybutton", "sphinx.ext.viewcode", "nbdev_sphinx", "pages"]
source_suffix = {".ipynb": "myst-nb", ".md": "myst-nb"}
exclude_patterns = ["**.ipynb_checkpoints", "_*"]
parts = {  # of the site; a new notebook is in one by its number
    "Start": "start",
    "Guides": "guides 85* 86* 83* 84* 8[7-9]* 80* 82* scaling rely",
    "Studies": "61* 70* 68* 64* 66* 63* 65* 62* 69* 71*",
    "Reference": "reference/index genindex",
    "How it works": " ".join(f"how/{group}" for group in GROUPS),
}
toctree = "```{{toctree}}\n:hidden:\n:glob:\n:caption: {}\n\n{}\n```"
nbdev_toctree = "\n\n".join(toctree.format(caption, "\n".join(globs.split())) for caption, globs in parts.items())

nb_execution_mode = "off"  # the notebooks carry their outputs, as with Quarto's --no-execute
nb_merge_streams = True
myst_enable_extensions = [
    "dollarmath", "amsmath", "colon_fence", "attrs_inline", "attrs_block", "fieldlist", "deflist", "tasklist",
]
myst_heading_anchors = 3
numfig = True
add_module_names = False
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

# Maths with no network: MathJax's one-file SVG build, out of the package sphinx-mathjax-offline.
mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax/tex-svg-full.js"
html_static_path = [str(here / "_static"), str(mathjax)]
mathjax_path = mathjax.name
mathjax3_config = {
    "tex": {"inlineMath": [["\\(", "\\)"]], "displayMath": [["\\[", "\\]"]]},
    "options": {"enableMenu": False},
}

viewcode_follow_imported_members = False

html_theme = "furo"
html_favicon = "_static/favicon.svg"
html_title = project
html_css_files = ["custom.css"]
html_copy_source = html_show_sourcelink = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"  # WCAG AA
