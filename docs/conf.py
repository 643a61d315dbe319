"""Sphinx settings; the pages are Markdown (MyST), the API reference comes from numpydoc docstrings."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent / "_ext")]

project = "sparsemlp"
author = "The sparsemlp developers"
copyright = "The sparsemlp developers"
release = installed_version("sparsemlp")
version = release.partition("+")[0]  # without the commit, which development versions name

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "plus_minus",
]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_ext"]
templates_path = ["_templates"]
nitpicky = False

autosummary_generate = True
autosummary_ignore_module_all = False  # a module's page lists its public names, wherever they are defined
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's Parameters sections have the types
numpydoc_show_class_members = False  # the class template lists the methods
numpydoc_xref_param_type = False

copybutton_exclude = ".linenos, .gp, .go"
sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",  # every script runs
    "within_subsection_order": "gallery_order.position",
    "write_computation_times": False,
    "backreferences_dir": "gallery/of",  # the API's pages show the examples that use a name
    "doc_module": "sparsemlp",
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 3600,  # times of a busy machine say little
}

html_theme = "pydata_sphinx_theme"
html_title = "sparsemlp"
html_static_path = ["_static"]
html_css_files = ["sparsemlp.css"]
html_logo = html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sparsemlp"},
    "navbar_start": ["navbar-logo", "version"],
    "navbar_center": [],  # the sidebar has all pages
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["version"],
}
html_sidebars = {"**": ["sidebar-pages"]}


def skip_members_from_elsewhere(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """Skip what scikit-learn, skorch and torch document: their docstrings refer to their own manuals."""
    defined_in = getattr(obj, "__module__", None) or getattr(getattr(obj, "fget", None), "__module__", None)
    return True if defined_in and not defined_in.startswith("sparsemlp") else None


def setup(app: Sphinx) -> None:
    """Register the handler above."""
    app.connect("autodoc-skip-member", skip_members_from_elsewhere)
