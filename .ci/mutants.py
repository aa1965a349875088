"""Plants faults in the modules where a wrong number hides, one at a time, and counts those noticed.

    uv run python .ci/mutants.py                    # every group of .ci/mutants.toml
    uv run python .ci/mutants.py metrics kernels    # these
    uv run python .ci/mutants.py metrics --sample 40 --seed 7

Faults are cosmic-ray's: at every place of the source where one of its operators applies, one of its
replacements, drawn by the seed. Type annotations and decorators are left alone. Each mutant is
tested in a process forked from this one, which has imported JAX and the like and run nothing yet,
on a copy of the repository of its own. Survivors are printed as diffs; those that ``mutants.toml``
names as equivalent do not count.
"""

import argparse
import ast
import difflib
import fnmatch
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
COPIED = ("gdjax", "conf", "experiments", "tests", "pyproject.toml", "README.md", ".github")
# What every test process would import anew; none of it starts a thread or a device.
WARM = ("jax", "optax", "hypothesis", "matplotlib.figure", "numpy", "pandas", "scipy.stats",
        "sympy", "xarray", "zarr", "hydra", "llvmlite.binding", "pytest", "beartype")  # fmt: skip
LEFT_OUT = ("Decorator", "NoOp")


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types are said, which no test is about."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            if part := getattr(node, name, None):
                end = (part.end_lineno, part.end_col_offset)
                found.append(((part.lineno, part.col_offset), end))
    return found


def mutants(path: str, seed: int) -> list[tuple[str, str]]:
    """(where and what, mutated source): one a place and operator family."""
    source = (ROOT / path).read_text()
    silent, tree, places = annotations(source), get_ast(source), {}
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments() or any(word in name for word in LEFT_OUT):
            continue
        spans = (s for node in ast_nodes(tree) for s in operator().mutation_positions(node))
        family = name.partition("/")[2].partition("_")[0]
        for occurrence, (begin, end) in enumerate(spans):
            if not any(first <= begin and end <= last for first, last in silent):
                places.setdefault((begin, end, family), []).append((name, occurrence))
    drawn = random.Random(seed)
    found = []
    for (begin, *_), choices in sorted(places.items()):
        name, occurrence = drawn.choice(choices)
        if mutated := mutate_code(source, get_operator(name)(), occurrence):
            found.append((f"{path}:{begin[0]}", mutated))
    return found


def difference(path: str, mutated: str) -> tuple[str, str]:
    """The lines that a fault takes out and puts in."""
    lines = list(difflib.ndiff((ROOT / path).read_text().splitlines(), mutated.splitlines()))
    return tuple(
        " ".join(" ".join(line[2:].split()) for line in lines if line[0] == sign) for sign in "-+"
    )


def _test(tests: list[str], copy: Path, output: Path) -> None:
    """What the forked process does: it ends with pytest's own exit code."""
    os.setsid()
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(sink, stream)
    os.chdir(copy)
    os.environ |= {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path.insert(0, str(copy))
    sys.dont_write_bytecode = True
    import pytest

    seen = "ignore::pytest.PytestAssertRewriteWarning"  # they are imported, which is the point
    options = ["-x", "-n0", "-W", seen, "-q", "-p", "no:cacheprovider", "--rootdir", str(copy)]
    os._exit(min(int(pytest.main([*options, *tests])), 124))


def run(tests: list[str], copy: Path, output: Path, limit: float) -> str:
    """What became of the tests in a copy of the repository: passed, failed or timeout."""
    child = os.fork()
    if child == 0:
        try:
            _test(tests, copy, output)
        except BaseException:  # nothing of the child may go on in the parent's code
            traceback.print_exc()
        finally:
            os._exit(125)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return "passed" if status == 0 else "failed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def score(name: str, group: dict, args: argparse.Namespace, copies: SimpleQueue) -> bool:
    """Try a group's mutants and print what was not noticed."""
    paths = [str(p.relative_to(ROOT)) for g in group["modules"] for p in sorted(ROOT.glob(g))]
    found = [(path, *mutant) for path in paths for mutant in mutants(path, args.seed)]
    if args.sample and len(found) > args.sample:
        found = random.Random(args.seed).sample(found, args.sample)
    equivalent = [e["line"] for e in group.get("equivalent", ())]
    copy = copies.get()
    begun = time.monotonic()
    if run(group["tests"], copy, copy / "output", 1200) != "passed":
        print((copy / "output").read_text()[-3000:])
        raise SystemExit(f"{name}: the tests fail without a fault")
    limit = 10 + 4 * (time.monotonic() - begun)
    copies.put(copy)
    print(f"{name}: {len(found)} mutants, {limit / 4 - 2.5:.0f} s for the tests", flush=True)

    def attempt(mutant: tuple[str, str, str]) -> str:
        path, where, mutated = mutant
        old, new = difference(path, mutated)
        if any(fnmatch.fnmatchcase(new, pattern) for pattern in equivalent):
            return "equivalent"
        copy = copies.get()
        try:
            (copy / path).write_text(mutated)
            became = run(group["tests"], copy, copy / "output", limit)
        finally:
            shutil.copy2(ROOT / path, copy / path)
            copies.put(copy)
        if became == "passed":
            print(f"SURVIVED {where}\n  - {old}\n  + {new}", flush=True)
        return became

    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(attempt, found))
    counted = [result for result in results if result != "equivalent"]
    noticed = sum(result != "passed" for result in counted)
    share = noticed / max(len(counted), 1)
    print(f"{name}: {noticed} of {len(counted)} noticed, {share:.2f}; "
          f"{len(results) - len(counted)} equivalent", flush=True)  # fmt: skip
    return share >= args.least


def main() -> int:
    """The command."""
    table = tomllib.loads((ROOT / ".ci" / "mutants.toml").read_text())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(table)}; by default all")
    parser.add_argument("--sample", type=int, default=0, help="how many of a group; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--least", type=float, default=0.85, help="the score that is asked")
    args = parser.parse_args()
    if unknown := set(args.groups) - set(table):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(table)}")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(ROOT / ".cache" / "jax")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    for module in WARM:
        __import__(module)
    with tempfile.TemporaryDirectory() as place:
        copies: SimpleQueue = SimpleQueue()
        for i in range(args.jobs):
            copy = Path(place) / str(i)
            for name in COPIED:
                source = ROOT / name
                (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
            copies.put(copy)
        good = [score(name, table[name], args, copies) for name in args.groups or table]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
