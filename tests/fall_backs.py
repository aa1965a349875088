"""Why a sweep of this suite may fall back to a slower kernel; any other reason fails its test."""

import re

# What no kernel of scalars can do: loops and branches that depend on numbers, random keys, the
# slope of the gamma function, …
FORESEEN = (
    r"(cond|digamma|empty|qr|scatter|while|scan|sort|svd) cannot be unrolled into scalars",
    r"a kernel has no numbers of key<fry>",
    r"an index that is not a constant",
    r"its [\d,]+ data are too many to be unrolled into scalars",
    r"it takes (about [\d,]+|more than) .*operations on scalars.*",
)


def is_foreseen(reason):
    """Whether each of the reasons in a sweep's ``kernel_reason`` is one of these."""
    one = f"({'|'.join(FORESEEN)})"
    return re.fullmatch(f"({one}(; {one})*)?", reason) is not None
