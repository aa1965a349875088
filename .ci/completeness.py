"""Type checkers know what the package takes and returns: python .ci/completeness.py."""

import json
import subprocess
import sys

LEAST = 0.95
VERIFY = ["pyright", "--verifytypes", "gdjax", "--ignoreexternal", "--outputjson"]


def main() -> None:
    """Leave with the symbols of unknown type if there are too many; a few fail no one."""
    told = json.loads(subprocess.run(VERIFY, capture_output=True, text=True).stdout)
    found = told["typeCompleteness"]
    score = found["completenessScore"]
    if score < LEAST:
        vague = [s["name"] for s in found["symbols"] if s["isExported"] and not s["isTypeKnown"]]
        sys.exit(f"types are {score:.1%} complete, {LEAST:.0%} are needed: {', '.join(vague)}")
    print(f"types are {score:.1%} complete")


if __name__ == "__main__":
    main()
