"""Build the package from `settings.ini`, the one place where the project's metadata stand."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

ALL = ("gpt2", "data", "eeg", "dev")  # of extra [all]; libraries that are exchanged or compared with stay apart
ini = ConfigParser(delimiters=["="])
ini.read("settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
extras = {e: cfg[f"{e}_requirements"].split() for e in ("gpt2", "data", "eeg", "models", "interop", "bench", "dev")}

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    keywords=cfg["keywords"],
    license="Apache-2.0",
    packages=find_packages(include=[cfg["lib_path"], cfg["lib_path"] + ".*"]),
    package_data={"mfr": ["py.typed", "templates/*"], "mfr.data": ["tiny_gpt2/*"]},
    python_requires=">=" + cfg["min_python"],
    install_requires=cfg["requirements"].split(),
    extras_require=extras | {"all": [r for e in ALL for r in extras[e]]},
    entry_points={
        "console_scripts": cfg["console_scripts"].split(),
        "nbdev": [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"],  # resolves `symbol` links in the docs
    },
    zip_safe=False,
)
