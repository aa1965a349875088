"""The explorer: a page of HTML in which every slider computes the descents anew."""

from collections.abc import Callable

from gdjax._util import lazy
from gdjax.explorer.pages import Page, explore

__all__ = ["Page", "explore"]

__dir__: Callable[[], list[str]] = lazy.listing(globals())
