"""What all parts of the test share: where its files are, how it goes on and how it fails."""

import contextlib
import pathlib
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# The copy of the stack, its state, the logs.
WORK = pathlib.Path(tempfile.mkdtemp(prefix="fleet-loopback-"))


class Failed(Exception):
    """Something is not as it must be."""


def expect(holds, message):
    if not holds:
        raise Failed(message)


seconds = {}


@contextlib.contextmanager
def step(what):
    print(f"{what} … ", end="", flush=True)
    started = time.monotonic()
    yield
    seconds[what] = time.monotonic() - started
    print(f"{seconds[what]:.1f} s", flush=True)


def last_lines(log):
    return "\n".join(log.read_text(encoding="utf-8").splitlines()[-40:])
