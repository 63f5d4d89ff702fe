"""Run folders of an earlier release: the same figures, nothing asked again, journals that go on.

What may differ in the findings: the release in the signature, the wording of summaries, and keys that were added.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import aqaudit
from aqaudit import Study

HERE = Path(__file__).parent
#: Folder -> answers in it. ``pairs`` was broken off: its plan has more.
ANSWERS = {"quickstart": 960, "dives": 144, "reasoning": 400, "pairs": 60, "views": 568, "words": 1056}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Unpack a frozen folder, once for all tests that only read it."""
    known: dict[str, Path] = {}

    def unpack(name: str, *, anew: bool = False) -> Path:
        if name not in known or anew:
            folder = tmp_path_factory.mktemp(name)
            with tarfile.open(HERE / f"{name}.tar.xz") as packed:
                packed.extractall(folder, filter="data")
            if anew:
                return folder
            known[name] = folder
        return known[name]

    return unpack


def differences(was: object, now: object, where: str = "") -> list[str]:
    """Return where a value differs from what it was; keys that were added do not count."""
    if isinstance(was, dict) and isinstance(now, dict):
        found = [f"{where}.{key} is gone" for key in was.keys() - now.keys()]
        for key in was.keys() & now.keys():
            found += differences(was[key], now[key], f"{where}.{key}")
        return found
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return [
            line for n, pair in enumerate(zip(was, now, strict=True)) for line in differences(*pair, f"{where}[{n}]")
        ]
    if where.endswith(".summary") or where == ".signature.aqaudit":
        return []
    if isinstance(was, float) and isinstance(now, float):
        # the last digits follow the processor
        return [] if now == pytest.approx(was, rel=1e-9, abs=1e-12) else [f"{where}: {was!r} is now {now!r}"]
    return [] if was == now else [f"{where}: {was!r} is now {now!r}"]


def study_of(name: str, folder: Path) -> Study:
    if name == "quickstart":
        return Study.read("quickstart")
    return Study.read(folder / "study.toml", roots={"mtl_aqa": str(folder / "data")} if name == "dives" else None)


def run_again(name: str, folder: Path) -> Any:
    options = {"trace_judge": "second"} if name == "reasoning" else {}
    return aqaudit.run(study_of(name, folder), out=folder / "out", **options)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_findings_are_what_they_were(name: str, unpacked: Any, tmp_path: Path) -> None:
    folder, kept = unpacked(name), tmp_path / "audit.json"
    # a process of its own: nothing that another test left in memory decides a figure
    command = [sys.executable, "-m", "aqaudit.cli", "audit", str(folder / "out"), "--json", str(kept), "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    was = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    now = json.loads(kept.read_text(encoding="utf-8"))
    assert len(was["findings"]) == len(now["findings"])
    assert differences(was, now) == []


@pytest.mark.parametrize("name", ANSWERS)
def test_the_report_opens(name: str, unpacked: Any, tmp_path: Path) -> None:
    page = aqaudit.report(unpacked(name) / "out", out=tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1" in page
    assert page.rstrip().endswith("</html>")


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "pairs"])
def test_a_rerun_asks_nothing(name: str, unpacked: Any) -> None:
    folder = unpacked(name, anew=True)
    before = pl.read_parquet(folder / "out" / "answers.parquet")
    outcome = run_again(name, folder)
    assert outcome.complete
    assert (outcome.tally.answered, outcome.tally.found) == (0, ANSWERS[name])
    assert outcome.tally.relabelled == 0
    assert_frame_equal(pl.read_parquet(folder / "out" / "answers.parquet").select(before.columns), before)


def test_a_run_goes_on_where_the_earlier_one_was_broken_off(unpacked: Any) -> None:
    folder = unpacked("pairs", anew=True)
    outcome = run_again("pairs", folder)
    assert outcome.complete
    assert outcome.tally.found == ANSWERS["pairs"]
    assert outcome.tally.answered > 100
    again = run_again("pairs", folder)
    assert again.tally.answered == 0


def test_traces_and_movement_are_written_anew_as_they_were(unpacked: Any) -> None:
    folder = unpacked("reasoning", anew=True)
    out = folder / "out"
    before = {name: pl.read_parquet(out / f"{name}.parquet") for name in ("kinematics", "trace_steps", "trace_tests")}
    for name in before:
        (out / f"{name}.parquet").unlink()
    outcome = run_again("reasoning", folder)
    assert outcome.complete
    for name, frame in before.items():
        assert_frame_equal(pl.read_parquet(out / f"{name}.parquet"), frame, rel_tol=1e-6, check_row_order=False)
