"""What POSIX alone has is blocked: imports, audits and reports work without it, a run gives up signals and no more.

Neither Windows nor macOS was tried; this only shows that nothing needs what they lack.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import made

HERE = Path(__file__).parent
WITHOUT = """
import asyncio, signal, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in [one for one in dir(signal) if one.startswith("SIG") and one not in SIGNALS]:
    delattr(signal, name)
def refuse(*_):
    raise NotImplementedError
asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler = refuse
""".replace("SIGNALS", str({"SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIG_DFL", "SIG_IGN"}))


def python(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", WITHOUT + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    return done.stdout


def test_every_module_is_imported_without_what_posix_alone_has() -> None:
    from test_house import MODULES

    extras = ("aqaudit.models.hf", "aqaudit.engine.ray", "aqaudit.probe.", "aqaudit.cli.__main__")
    names = [name for name in MODULES if not name.startswith(extras)]
    python("import importlib\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n", *names)


def test_a_run_folder_is_audited_and_reported_without_what_posix_alone_has(tmp_path: Path) -> None:
    with tarfile.open(HERE / "frozen" / "pairs.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    code = "import aqaudit\nprint(len(aqaudit.audit(sys.argv[1]).findings), aqaudit.report(sys.argv[1]).name)\n"
    assert python(code, tmp_path / "out").split()[1] == "report.html"


def test_a_run_goes_to_its_end_without_signals(tmp_path: Path) -> None:
    study = made.study(made.folder(tmp_path / "data", performances=4), model=made.SIMULATED)
    code = (
        "del sys.modules['fcntl']\n"  # every system has a lock of its own; here it is this one
        "import aqaudit\n"
        "print(aqaudit.run(aqaudit.Study.read(sys.argv[1]), out=sys.argv[2]).tally.answered)\n"
    )
    assert python(code, study, tmp_path / "out") == "8\n"
