"""The site, built by ``uv run --extra docs sphinx-build -W .docs .docs/_build``."""

import re

import gdjax

project = "gdjax"
author = copyright = "the gdjax developers"
release = gdjax.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "myst_nb"]
exclude_patterns = ["_build", "jupyter_execute"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"gdjax {release}"

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 60  # seconds a cell

default_role = "py:obj"
add_module_names = False
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings say what each argument may be
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Reference"]

# A name that gdjax takes from one of its public modules is documented there alone.
MODULES = ("certificates", "explorer", "hypergradients", "metrics", "objectives", "optimizers",
           "plotting", "results", "starts", "stationary", "theory")  # fmt: skip
HOMES = {
    name: home
    for name, home in gdjax._HOMES.items()
    if home.removeprefix("gdjax.") in MODULES and not home.endswith(f".{name}")
}
MARKS = ["REQUIRED"]  # what Sphinx would take for a class, reference.md says
autosummary_context = {
    "elsewhere": {"gdjax": HOMES, "gdjax.objectives": MARKS, "gdjax.optimizers": MARKS}
}


def link_names(app, what, name, obj, options, lines):
    """Make a link of each ``name`` in a docstring; Sphinx leaves unknown ones as code."""
    lines[:] = [re.sub(r"``([A-Za-z_][\w.]*)``", r":py:obj:`\1`", line) for line in lines]


def find_home(app, env, node, text):
    """The link from ``gdjax.name`` to the module that documents it."""
    name = node.get("reftarget", "").removeprefix("gdjax.")
    if name not in HOMES:
        return None
    target = f"{HOMES[name]}.{name}"
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, text)


def skip_fields(app, what, name, obj, skipped, options):
    """Leave out the fields of named tuples, which are listed as their arguments."""
    return skipped or type(obj).__name__ == "_tuplegetter"


def setup(app):
    """Add these to Sphinx."""
    app.connect("autodoc-process-docstring", link_names)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("missing-reference", find_home)
