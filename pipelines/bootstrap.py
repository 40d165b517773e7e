"""Make `.venv` with pip alone and install medtrove into it; does nothing when that is already so.

Run by path and isolated (`python -I pipelines/bootstrap.py GROUP...`), before anything is installed, by whatever
Python the machine has. It therefore imports only the standard library and must parse on old versions.
Groups are the extras of pyproject.toml; `core` is the base install. Each group leaves a stamp, the digest of
pyproject.toml and constraints.txt, so a changed pin installs again.
"""

import hashlib
import os
import subprocess
import sys

LEAST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")


def stop(sentence: str) -> None:
    """Say what is wrong and end with 2."""
    sys.stderr.write("medtrove: " + sentence + "\n")
    raise SystemExit(2)


def digest() -> str:
    """What an installation depends on."""
    found = hashlib.sha256(sys.version.encode())
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as stream:
            found.update(stream.read())
    return found.hexdigest()


def make_environment() -> None:
    """Create `.venv`, or stop with the one sentence that helps."""
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        package = "python%d.%d-venv" % sys.version_info[:2]
        stop(
            "this Python ("
            + sys.executable
            + ") has no venv module; install it (Debian: apt-get install "
            + package
            + ")."
        )
    # An environment left half-made by an interrupted run has no stamp and is made anew.
    venv.EnvBuilder(with_pip=True, clear=True).create(VENV)


def main(groups: "list[str]") -> None:
    """Install what is missing of `groups`."""
    if sys.version_info < LEAST:
        stop(
            "needs Python 3.11 or newer and this is "
            + sys.version.split()[0]
            + " ("
            + sys.executable
            + "); give another with make PYTHON=/path/to/python3.11."
        )
    wanted = digest()
    python = os.path.join(VENV, "bin", "python")
    made = os.path.join(VENV, ".medtrove-made")
    if not (os.path.exists(made) and os.path.exists(python)):
        sys.stdout.write("Making .venv with " + sys.executable + " ...\n")
        sys.stdout.flush()
        make_environment()
        open(made, "w").close()
    for group in groups:
        stamp = os.path.join(VENV, ".medtrove-" + group)
        if os.path.exists(stamp) and open(stamp).read() == wanted:
            continue
        extra = "" if group == "core" else "[" + group + "]"
        sys.stdout.write("Installing medtrove" + extra + " into .venv (a few minutes the first time) ...\n")
        sys.stdout.flush()
        command = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-c"]
        command += [os.path.join(ROOT, "constraints.txt"), "-e", ROOT + extra]
        if subprocess.call(command, env=dict(os.environ, PIP_NO_WARN_SCRIPT_LOCATION="1")):
            stop(
                "pip could not install medtrove" + extra + "; its message is above. Run the same command to try again."
            )
        with open(stamp, "w") as stream:
            stream.write(wanted)


if __name__ == "__main__":
    main(sys.argv[1:] or ["core"])
