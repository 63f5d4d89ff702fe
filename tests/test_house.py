"""The house: who may import whom, no circles, files of a size that one opens for one reason.

The picture is in CONTRIBUTING.md: two halves, which share ``core`` and meet in one table.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "aqaudit").rglob("*.py"))
}
#: Room -> rooms that it may import. ``api``, ``cli`` and the package itself may import all.
ALLOWED = {
    "core": set(),
    # what makes answers
    "pose": {"core"},
    "media": {"core", "pose"},
    "datasets": {"core", "pose", "media"},
    "probe": {"core", "pose", "media"},
    "prompts": {"core"},
    "models": {"core", "pose", "media", "probe"},  # observers judge from joints
    "study": {"core", "prompts", "models"},
    "engine": {"core", "pose", "media", "datasets", "prompts", "models", "study", "traces"},
    # what reads answers
    "measures": {"core"},
    "traces": {"core"},
    "audits": {"core", "measures", "traces"},
    "reporting": {"core", "measures", "traces", "audits"},
    "imports": {"core"},
}
EVERYTHING = {"api", "cli"}


def imports(path: Path, *, at_load: bool) -> Iterator[str]:
    """Yield the modules of AQAudit that a file imports: when it is loaded, or anywhere, for types alone too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_load else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.If) and at_load:
            nodes += node.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "aqaudit":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "aqaudit")


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_imports_only_what_the_picture_allows() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        if room(module) not in EVERYTHING and module != "aqaudit"
        for imported in imports(path, at_load=False)
        if room(imported) not in {*ALLOWED[room(module)], room(module)}
    ]
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: set(imports(path, at_load=False)) - {module} for module, path in MODULES.items()}
    # taking away again and again what imports nothing leaves the circles
    while leaves := {module for module, found in graph.items() if not found & graph.keys()}:
        graph = {module: found for module, found in graph.items() if module not in leaves}
    assert sorted(graph) == []


def test_every_module_can_be_imported_first() -> None:
    """Each in a fresh memory, all in one process; those of extras that are not installed say so."""
    code = (
        "import importlib, sys\n"
        "from aqaudit.core.records import BadInput\n"
        "for name in sys.argv[1:]:\n"
        "    for known in [m for m in sys.modules if m.split('.')[0] == 'aqaudit']:\n"
        "        del sys.modules[known]\n"
        "    importlib.import_module(name)\n"
    )
    heavy = ("aqaudit.models.hf", "aqaudit.engine.ray", "aqaudit.probe.", "aqaudit.cli.__main__")
    names = [name for name in MODULES if not name.startswith(heavy)]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_opened_for_one_reason(module: str) -> None:
    path = MODULES[module]
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 500, "over 500 lines it is two"
    assert lines >= 40 or path.name in {"__init__.py", "__main__.py"}, "under 40 lines it belongs into its neighbour"


def test_the_help_is_there_at_once() -> None:
    """CPU of a fresh process, loading Python included; the best of five."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'aqaudit.cli', '--help'], stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)\n"
    )
    spent = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(spent) < 0.3
