"""Build the package from `settings.ini`, the one place where the project's metadata stand."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

ALL = ("gpt2", "data", "eeg", "ranks", "dev")  # of extra [all]; libraries that are compared with stay apart
ini = ConfigParser(delimiters=["="])
ini.read("settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
extras = ("gpt2", "data", "eeg", "models", "track", "ranks", "interop", "bench", "dev")
extras = {name: cfg[f"{name}_requirements"].split() for name in extras}

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
    project_urls={"Documentation": cfg["doc_host"] + cfg["doc_baseurl"], "Source": cfg["git_url"]},
    license="Apache-2.0",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
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
