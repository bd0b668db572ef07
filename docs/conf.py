"""Sphinx's settings. `make docs` builds the site; nothing is fetched while it is built or read."""

import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from comparison_table import write_table
from reference_pages import write_pages

import lazyvox

write_pages(HERE / "api" / "generated")
write_table(HERE / "measured")

project = "lazyvox"
author = "The lazyvox developers"
project_copyright = author
version = release = lazyvox.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery", "measured", "static"]
default_role = "py:obj"
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autosummary_generate = False
autodoc_typehints = "none"
autodoc_member_order = "alphabetical"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": ["gallery"],
    "gallery_dirs": ["examples"],
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": False,
    "download_all_examples": False,
    "show_memory": False,
    # Its page of run times takes scripts from elsewhere.
    "write_computation_times": False,
    "show_signature": False,
    "remove_config_comments": True,
    "image_srcset": ["2x"],
    "doc_module": ("lazyvox",),
    "reference_url": {"lazyvox": None},
    "backreferences_dir": None,
}
# Examples are held to what tests are held to.
warnings.filterwarnings("error", module="lazyvox")
os.environ.setdefault("MPLBACKEND", "Agg")

html_theme = "pydata_sphinx_theme"
html_title = f"lazyvox {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["tables.css"]
# Pages without others below them need no list of these.
html_sidebars: dict[str, list[str]] = {
    name: [] for name in ("index", "installation", "getting-started", "parity", "architecture")
}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navigation_depth": 2,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


def _quote_trailing_underscores(app: Any, what: str, name: str, *rest: Any) -> None:
    """Keep words such as "butterworth__" from being taken for links."""
    del app, what, name
    lines = rest[-1]
    lines[:] = [re.sub(r'"([a-z]\w*__)"', r'``"\1"``', line) for line in lines]


def setup(app: Any) -> None:
    """Connect to Sphinx."""
    # Before numpydoc, which takes the lines apart.
    app.connect("autodoc-process-docstring", _quote_trailing_underscores, priority=100)
