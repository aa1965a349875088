"""Ctrl-C at any moment, and a reader that leaves: one line or none, and no file by half."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# What every child does first: it presses Ctrl-C itself, where it opens or imports what it is told.
PRESSING = """
import os, signal, sys
wanted = sys.argv.pop(1)
def pressed(event, details):
    global wanted
    if wanted and event in ("open", "import") and wanted in str(details[0]):
        wanted = ""
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(pressed)
sys.argv[0] = "gdjax"
from gdjax.cli import main
main()
"""
# It says when gdjax's first line is next.
BEGUN = """
import os, sys
sys.argv[0] = "gdjax"
from gdjax.cli import main
os.write(1, b"!")
main()
"""
SOON = 0.02  # seconds after which that line is surely done
# Every command at a small size, and a word for how much of it there is to press in.
COMMANDS = {
    "help": "run --help",
    "version": "--version",
    "objectives": "objectives",
    "optimizers": "optimizers",
    "run": "run steps=20",
    "compare": "compare steps=20",
    "check": "check objective=booth draw=true",
    "certify": "certify objective=sphere steps=5",
    "sweep": "sweep starts.number=400 steps=50 chunk=256",
    "explore": "explore page.html objective=booth explore.open=false",
    "rank": "rank objectives=[sphere] optimizers=[adam,lion] budget=50 trials=2 starts=2 "
    "held_out=2 seeds=1",
}


def ended(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def begin(folder, *words, code=None):
    command = [sys.executable, *(("-c", code) if code else ("-m", "gdjax.cli")), *words]
    return subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def script(body):
    """A process of its own that gdjax's handlers end; no JAX is loaded."""
    return f"""
import hashlib, os, signal, sys, threading, time
from gdjax._util import files, signals
signals.end_at_signals("gdjax run")
def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)
def later(delay, number=signal.SIGINT):
    threading.Timer(delay, press, [number]).start()
def busy():  # in C, where Python calls no handler
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
{body}
print("went on")
"""


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("press()", 130, "interrupted"),
        ("press(signal.SIGTERM)", 143, "terminated"),
        ("later(0.1); busy()", 130, "interrupted"),
        # Lost by Python's own handler: in a finalizer, and where all is caught.
        ("class A:\n    def __del__(self): press()\nA()", 130, "interrupted"),
        ("try:\n    press()\nexcept BaseException: pass", 130, "interrupted"),
        # A second one ends what takes too long at the first, wherever that is.
        ("later(0.5)\nwith signals.before_end(busy): press()", 130, "interrupted"),
        ("later(0.1); later(0.2); busy()", 130, "interrupted"),
    ],
)
def test_a_signal_ends_the_process_in_one_line(tmp_path, body, code, said):
    began = time.monotonic()
    assert ended(begin(tmp_path, code=script(body))) == (code, "", f"gdjax run: {said}\n")
    assert time.monotonic() - began < 4


def test_a_fork_says_nothing_and_ends_nobody_else(tmp_path):
    body = """
import warnings
warnings.simplefilter("ignore")  # Python 3.12 says that a fork of several threads may hang
child = os.fork()
if not child:
    press()
    time.sleep(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signals.finish("gdjax run", 0)
"""
    assert ended(begin(tmp_path, code=script(body))) == (0, "130\n", "")


def test_what_is_half_made_goes_and_what_is_whole_stays(tmp_path):
    body = """
from pathlib import Path
with files.whole(Path("done.txt")) as file:
    file.write_text("whole")
Path("store").mkdir()
with (
    signals.before_end(lambda: Path("last").touch()),
    signals.before_end(lambda: 1 / 0),
    signals.unfinished("store"),
    files.whole(Path("begun.txt")) as file,
):
    file.write_text("ha")
    Path("store/part").touch()
    later(0.1); busy()
"""
    assert ended(begin(tmp_path, code=script(body)))[0] == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["done.txt", "last"]


def test_a_reader_that_has_enough_ends_it_quietly_and_a_full_disk_does_not(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    told = {}
    for name, out in {"gone": writer, "full": os.open("/dev/full", os.O_WRONLY)}.items():
        done = subprocess.run(
            [sys.executable, "-m", "gdjax.cli", "--help"],
            cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.close(out)
        told[name] = done.returncode, done.stderr
    assert told["gone"] == (141, "")
    assert told["full"] == (
        1,
        "gdjax --help: cannot write to the output: No space left on device\n",
    )


def whole(path):
    """Whether a file that a command wrote can be read to its end."""
    text = path.read_bytes()
    if path.suffix == ".png":
        return text.endswith(b"IEND\xaeB`\x82")
    if path.suffix == ".json":
        return bool(json.loads(text))
    return bool(text) and not path.name.startswith(".partial")


def check_ended(folder, code, out, err, line):
    """One line and no file by half, or, where all was done before, nothing amiss."""
    assert (code, err) in ((130, f"{line}\n"), (0, "")), (code, out, err)
    for path in folder.rglob("*"):
        inside = any(part.endswith(".zarr") for part in path.relative_to(folder).parts)
        assert inside or path.is_dir() or whole(path), path
        assert not re.fullmatch(r"\..*\.zarr\.partial", path.name), path
    return code == 130


@pytest.mark.parametrize(
    ("words", "moment"),
    [
        ("objectives", "jaxtyping"),
        *(
            pytest.param(*each, marks=pytest.mark.full)
            for each in (
                ("run", "gdjax.cli.app"),
                ("sweep", "jaxlib"),
                ("run steps=5", ".partial-convergence.png"),
                ("sweep starts.number=64 steps=9 plots=[]", ".zarr"),
            )
        ),
    ],
)
def test_a_command_ends_where_it_is_pressed(tmp_path, words, moment):
    first, *others = words.split()
    code, out, err = ended(begin(tmp_path, moment, first, *others, code=PRESSING))
    assert check_ended(tmp_path, code, out, err, f"gdjax {first}: interrupted"), (out, err)
    for path in tmp_path.glob("outputs/*/*"):  # an empty folder is taken back
        assert path.name == "stores" or (path / "config.yaml").is_file()


def seconds(folder, name):
    began = time.monotonic()
    code, _, err = ended(begin(folder, *COMMANDS[name].split()))
    assert (code, err) == (0, "")
    return time.monotonic() - began


@pytest.mark.full
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_at_any_moment(tmp_path, name):
    press_often(tmp_path, name, 2)


def press_often(folder, name, times):
    """Press at so many moments of a command, each command at others; how many were in time."""
    folder = Path(folder)
    seconds(folder, name)  # what it compiles is kept
    whole_time = seconds(folder, name)
    hit = 0
    shift = [*COMMANDS].index(name) / len(COMMANDS)
    for number in range(times):
        into = folder / str(number)
        into.mkdir()
        process = begin(into, *COMMANDS[name].split(), code=BEGUN)
        assert process.stdout.read(1) == "!"
        time.sleep(SOON + (number + shift) / times * whole_time)
        process.send_signal(signal.SIGINT)
        line = f"gdjax {COMMANDS[name].split()[0]}: interrupted"
        hit += check_ended(into, *ended(process), line)
    return hit
