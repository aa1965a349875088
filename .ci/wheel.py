"""A wheel holds the package and its configs, and nothing else: python .ci/wheel.py gdjax-….whl."""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(wheel: str) -> None:
    """Compare what is in the wheel with what belongs there; leave with a message if they differ."""
    there = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    wanted = {f"gdjax/{name}" for name in files("conf")} | set(files("gdjax"))
    odd = {n for n in there if any(word in n for word in ("test", "benchmark"))}
    lacking = {"gdjax/py.typed", "gdjax/conf/base.yaml", "gdjax/__init__.py"} - there
    problems = {"not in the source": there - wanted, "left out": wanted - there | lacking,
                "not for users": odd}  # fmt: skip
    told = [f"{what}: {', '.join(sorted(names))}" for what, names in problems.items() if names]
    if told:
        sys.exit(f"{wheel}: {'; '.join(told)}")
    print(f"{len(there)} files, all of them of the package or its configs")


def files(folder: str) -> list[str]:
    """What a folder of the project holds, caches aside."""
    paths = (ROOT / folder).rglob("*")
    return [p.relative_to(ROOT).as_posix() for p in paths
            if p.is_file() and "__pycache__" not in p.parts]  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
