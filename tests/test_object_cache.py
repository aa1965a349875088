"""Kernels kept on disk: the same bits, found again, and never loaded from what others may write."""

import errno
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gdjax
from gdjax._kernels.choice import _kernel
from gdjax._kernels.llvm import kernel, object_cache

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no kernels are kept here")
CODE, OTHER = b"code" * 100, b"other" * 100


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where kernels are kept, which does not exist yet."""
    monkeypatch.setenv(object_cache.VARIABLE, str(tmp_path / "kernels"))
    monkeypatch.setattr(object_cache, "_sources", lambda rooms: "as they are")
    _kernel.cache_clear()
    yield tmp_path / "kernels"
    _kernel.cache_clear()


def compiles(code=CODE, *decides):
    """Whether the code has to be made; it is the right one in any case."""
    made = []
    assert object_cache.get(decides, lambda: made.append(code) or code) == code
    return bool(made)


def test_what_was_made_once_is_found_by_all_that_decides_it(folder, monkeypatch):
    assert compiles(CODE, "cell", 1)
    assert not compiles(CODE, "cell", 1)
    assert compiles(OTHER, "cell", 2)
    assert not compiles(CODE, "cell", 1)
    for owner, name in (
        (object_cache, "__version__"), (object_cache.jax, "__version__"),
        (object_cache.np, "__version__"), (object_cache.llvmlite, "__version__"),
        (object_cache.llvm, "llvm_version_info"),
    ):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, "another")
            assert compiles(CODE, "cell", 1)
    (file, *_) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_edit_of_what_writes_kernels_never_finds_the_old_ones(folder, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv(object_cache.VARIABLE, str(folder))
    package = tmp_path / "gdjax"
    for room in object_cache.ROOMS:
        shutil.copytree(object_cache.PACKAGE / room, package / room)
    monkeypatch.setattr(object_cache, "PACKAGE", package)
    object_cache._sources.cache_clear()
    assert [compiles(), compiles()] == [True, True]  # the files are newer than this process
    monkeypatch.setattr(object_cache, "IMPORTED", float("inf"))
    assert [compiles(), compiles()] == [True, False]
    for name in ("_compiler/elementary.py", "_kernels/call.py", "_kernels/llvm/tiles.py"):
        with open(package / name, "a") as file:
            file.write("# changed\n")
        object_cache._sources.cache_clear()
        assert [compiles(), compiles()] == [True, False]
    shutil.rmtree(package)
    object_cache._sources.cache_clear()
    assert [compiles(), compiles()] == [True, True]
    object_cache._sources.cache_clear()


def flip(file):
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)


def another(file):
    assert compiles(OTHER, "other")
    (other,) = (f for f in file.parent.iterdir() if f != file)
    other.replace(file)


def link(file):
    file.rename(file.parents[1] / "elsewhere")
    file.symlink_to(file.parents[1] / "elsewhere")


def pipe(file):
    file.unlink()
    os.mkfifo(file)


DAMAGES = {
    "truncated": lambda file: os.truncate(file, 50),
    "empty": lambda file: os.truncate(file, 0),
    "a bit": flip,
    "another kernel": another,
    "a link": link,
    "a pipe": pipe,
    "written by anyone": lambda file: file.chmod(0o602),
    "written by the group": lambda file: file.chmod(0o620),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_damaged_or_not_ours_is_made_anew(folder, damage):
    assert compiles()
    (file,) = folder.iterdir()
    DAMAGES[damage](file)
    assert compiles()
    assert not compiles()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_can_write_to_is_not_used(folder, mode):
    assert compiles()
    folder.chmod(mode)
    assert [compiles(), compiles()] == [True, True]
    folder.chmod(0o755)
    assert not compiles()


def test_what_another_user_owns_is_not_used(folder, monkeypatch):
    assert compiles()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert [compiles(), compiles()] == [True, True]
    monkeypatch.undo()
    if os.getuid() == 0:  # a folder that became ours, and a file in it that did not
        monkeypatch.setenv(object_cache.VARIABLE, str(folder))
        monkeypatch.setattr(object_cache, "_sources", lambda rooms: "as they are")
        (file,) = folder.iterdir()
        os.chown(file, 12345, 12345)
        assert compiles()
        assert not compiles()


@pytest.mark.parametrize("where", ["off", "/dev/null", "/dev/null/kernels", "/proc/kernels"])
def test_without_a_folder_nothing_is_kept_and_nothing_is_said(folder, monkeypatch, where):
    monkeypatch.setenv(object_cache.VARIABLE, where)
    assert [compiles(), compiles()] == [True, True]
    assert not folder.exists()


def test_the_folder_is_the_users_cache_and_none_without_a_home(folder, tmp_path, monkeypatch):
    monkeypatch.delenv(object_cache.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert [compiles(), compiles()] == [True, False]
    assert (tmp_path / "gdjax" / "kernels").is_dir()

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert [compiles(), compiles()] == [True, True]


@pytest.mark.parametrize("fails", ["open", "replace"])
def test_a_disk_that_takes_nothing_leaves_nothing_behind(folder, monkeypatch, fails):
    real = getattr(os, fails)

    def full(path, *args, **kwargs):
        if str(path).endswith(".partial"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, fails, full)
    assert [compiles(), compiles()] == [True, True]
    assert [*folder.iterdir()] == []


def test_a_read_only_folder_is_read(folder, monkeypatch):
    assert compiles()

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert not compiles()


def test_what_was_not_used_for_longest_makes_room(folder, monkeypatch):
    folder.mkdir(0o700)
    (folder / "a users own file").write_bytes(bytes(10**6))
    left = folder / f"{'0' * 64}.kernel.0123456789abcdef.partial"  # of a process that was killed
    left.write_bytes(CODE)
    os.utime(left, (0, 0))
    lost = folder / f"{'1' * 64}.kernel"
    lost.symlink_to("nowhere")
    size = 2 * (len(CODE) + 32) + lost.lstat().st_size
    monkeypatch.setattr(object_cache, "MOST_BYTES", size)
    assert [compiles(CODE, "a"), compiles(CODE, "b")] == [True, True]
    assert not left.exists()
    for file in {*folder.iterdir()} - {lost}:  # "a" will be used, and "b" was long ago
        os.utime(file, (1, 1))
    assert not compiles(CODE, "a")
    assert compiles(CODE, "c")
    assert [compiles(CODE, "a"), compiles(CODE, "c")] == [False, False]
    assert compiles(CODE, "b")
    assert (folder / "a users own file").exists()


def test_an_error_of_the_compiler_is_not_mistaken_for_one_of_the_disk(folder):
    def fail():
        raise OSError("no processor")

    with pytest.raises(OSError, match="no processor"):
        object_cache.get((), fail)
    assert not folder.exists() or [*folder.iterdir()] == []


def swept(name="qfsp", scale=1.0, dtype="float32", **more):
    """A small sweep by a kernel that no earlier call left in memory."""
    base, table = gdjax.objectives.get(name), np.array([scale, 2.0])
    f = gdjax.Objective(fn=lambda p: base.fn(p) * table.astype(dtype)[0], domain=base.domain)
    _kernel.cache_clear()
    found = gdjax.sweep(
        f, gdjax.heavy_ball, gdjax.starts.uniform(100, seed=1),
        {"learning_rate": [0.02, 0.1], "momentum": [0.5, 0.9]},
        steps=30, dtype=dtype, classify_rest=False, kernel="llvm", **more,
    )  # fmt: skip
    return {name: found[name].values for name in found}


def same(one, other):
    return one.keys() == other.keys() and all(
        a.tobytes() == b.tobytes() for a, b in zip(one.values(), other.values(), strict=True)
    )


@pytest.mark.parametrize(
    ("dtype", "record"), [("float32", None), pytest.param("float64", "all", marks=pytest.mark.full)]
)
def test_the_bits_are_the_same_and_nothing_is_traced_twice_into_llvm(
    folder, monkeypatch, dtype, record
):
    ask = functools.partial(swept, dtype=dtype, save_at=record)
    with monkeypatch.context() as patched:
        patched.setenv(object_cache.VARIABLE, "off")
        without = ask()
    assert not folder.exists()
    first = ask()
    different = ask(scale=1.5)
    assert len([*folder.iterdir()]) == 2
    with monkeypatch.context() as patched:
        for name in ("unroll", "_compile"):
            patched.setattr(kernel, name, None)
        assert same(without, first)
        assert same(without, ask())
        assert same(different, ask(scale=1.5))  # its only difference is a number in a constant
    assert not same(without, different)


SCRIPT = """
import hashlib, sys
import gdjax
from gdjax._kernels.llvm import kernel
made, compiler = [], kernel._compile
kernel._compile = lambda text: made.append(text) or compiler(text)
f = gdjax.objectives.get("qfsp")
found = gdjax.sweep(f, gdjax.heavy_ball(0.05), gdjax.starts.uniform(64), classify_rest=False)
whole = b"".join(found[name].values.tobytes() for name in found)
print(len(made), hashlib.sha256(whole).hexdigest())
"""


@pytest.mark.full
def test_processes_that_run_at_once_share_a_folder(tmp_path):
    environment = os.environ | {object_cache.VARIABLE: str(tmp_path / "kernels")}
    start = functools.partial(
        subprocess.Popen, [sys.executable, "-c", SCRIPT], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    said = [process.communicate() for process in [start(), start()]]
    said.append(start().communicate())  # after both
    assert [err for _, err in said] == ["", "", ""]
    counts, bits = zip(*(out.split() for out, _ in said), strict=True)
    assert len({*bits}) == 1
    assert counts[2] == "0"
    assert "1" in counts[:2]
    (file,) = (tmp_path / "kernels").iterdir()
    assert re.fullmatch(r"[0-9a-f]{64}\.kernel", file.name)


COMMAND = """
import collections, jax, sys
from gdjax._kernels.llvm import kernel
from gdjax.cli import command
counts, compiler = collections.Counter(), kernel._compile
kernel._compile = lambda text: counts.update(llvm=1) or compiler(text)
jax.monitoring.register_event_listener(lambda event, **more: counts.update([event]))
sys.argv = ["gdjax", *sys.argv[1:]]
command()
print(counts["llvm"], counts["/jax/compilation_cache/cache_misses"])
"""


@pytest.mark.full
def test_the_second_sweep_of_a_shape_compiles_nothing(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    for name in (object_cache.VARIABLE, "JAX_COMPILATION_CACHE_DIR"):
        environment.pop(name, None)

    def compilations(name, *words):
        words = (*words, f"hydra.run.dir={tmp_path / name}", f"store={tmp_path / name}.zarr")
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "sweep", *words],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return [*map(int, done.stdout.split()[-2:])]

    (llvm, xla) = compilations("a", "steps=40", "learning_rate=0.1")
    assert llvm == 1
    assert xla > 0
    again = compilations("b", "steps=50", "learning_rate=0.2")
    assert again == [0, 0]
