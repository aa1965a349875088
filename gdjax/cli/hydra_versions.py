"""What Hydra 1.3 and Hydra 1.4 must be told for both to do the same."""

from typing import Any

import hydra

_OLD = hydra.__version__.startswith("1.3.")

# Hydra 1.3 does as version 1.1 did unless told otherwise; Hydra 1.4 no longer can.
BASE: dict[str, Any] = {"version_base": "1.3"} if _OLD else {}

# A choice may be stored again, with other parameters. Hydra 1.4 wants to hear that it is meant.
REPLACE: dict[str, Any] = {} if _OLD else {"replace": True}
