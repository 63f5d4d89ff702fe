"""The plug-ins of docs/extend.md, installed as a distribution and used; broken ones say why."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = dict(FILE.findall((ROOT / "docs" / "extend.md").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip leaves behind: the package, and what it offers in its dist-info."""
    site = tmp_path_factory.mktemp("site")
    for name, text in EXAMPLES.items():
        if name != "pyproject.toml":
            path = site / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    (site / "gym_plugins" / "__init__.py").touch()
    project = tomllib.loads(EXAMPLES["pyproject.toml"])["project"]
    install(site, project["name"], project["version"], project["entry-points"])
    return site


def install(site: Path, name: str, version: str, offers: dict[str, dict[str, str]]) -> None:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = (
        line
        for group, points in offers.items()
        for line in (f"[{group}]", *(f"{point} = {value}" for point, value in points.items()))
    )
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def aqaudit(site: Path, tmp_path: Path) -> Callable[..., str]:
    def run(*words: str, code: int = 0, path: Path = site) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from aqaudit.cli import main; main()", *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT / "src")])},
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def test_every_example_is_complete_and_under_40_lines() -> None:
    assert {Path(name).suffix for name in EXAMPLES} == {".py", ".md", ".toml"}
    assert len(EXAMPLES) == 7
    assert all(len(text.splitlines()) < 40 for text in EXAMPLES.values())


def test_plug_ins_are_listed_with_their_distribution(aqaudit: Callable[..., str]) -> None:
    said = aqaudit("plugins")
    assert said.count("gym-plugins 1.0\n    usable") == 5
    for kind in ("data set gym_csv", "model provider coin", "strategy careful", "audit speed", "measure exact_share"):
        assert f"{kind}: gym_plugins." in said


def test_all_five_work_in_one_study(aqaudit: Callable[..., str], tmp_path: Path) -> None:
    data = tmp_path / "gym"
    data.mkdir()
    lines = ["file,who,deep"]
    for i in range(10):
        Image.new("RGB", (32, 24), (20 * i, 90, 120)).save(data / f"c{i}.png")
        lines.append(f"c{i}.png,w{i},{'yes' if i % 2 else 'no'}")
    (data / "labels.csv").write_text("\n".join(lines) + "\n")
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "gym"\n[[dataset]]\nreader = "gym_csv"\nroot = "gym"\n[grid]\nmodel = ["coin"]\n'
        'strategy = ["base", "careful"]\n[models.coin]\nprovider = "coin"\nmodel = "euro"\n'
    )
    assert "clips" in aqaudit("data", "check", "gym_csv", "gym")
    assert "model coin -> in process (stays on this machine)" in aqaudit("run", "study.toml", "--dry-run")
    assert "20 answered now" in aqaudit("run", "study.toml")
    assert "\n  speed " in aqaudit("audit", "out/gym")
    aqaudit("audit", "out/gym", "--json", "f.json")
    assert '"plug_ins": {\n   "audits.speed": "gym-plugins 1.0"' in (tmp_path / "f.json").read_text()
    html = Path(tmp_path, aqaudit("report", "out/gym").strip()).read_text()
    assert "Does it answer in time?" in html
    assert "careful.v1" in html
    assert "Look at the feet first" in html

    study.write_text(study.read_text().replace('model = "euro"', 'model = "euro"\nthinking = "on"'))
    assert "provider 'coin' cannot do this" in aqaudit("run", "study.toml", "--dry-run", code=2)


def test_broken_plug_ins_say_why_and_cost_nothing_else(aqaudit: Callable[..., str], tmp_path: Path) -> None:
    site = tmp_path / "broken"
    site.mkdir()
    (site / "wrecked.py").write_text("THING = 3\n")
    install(
        site,
        "wrecked",
        "2",
        {
            "aqaudit.datasets": {"folder": "wrecked:THING", "gone": "no_such_module:X"},
            "aqaudit.models": {"three": "wrecked:THING"},
            "aqaudit.strategies": {"base": "wrecked:THING", "three": "wrecked:THING", "file": "wrecked:__file__"},
            "aqaudit.audits": {"three": "wrecked:THING"},
            "aqaudit.measures": {"spearman": "wrecked:THING", "three": "wrecked:MISSING"},
        },
    )
    said = aqaudit("plugins", path=site)
    for line in (
        "data set plug-in 'folder' has the name of a built-in one and is left out; rename it",
        "data set plug-in 'gone' (no_such_module:X) does not load: ModuleNotFoundError: No module named",
        "model provider plug-in 'three' offers a int; allowed: an aqaudit.models.settings.Provider",
        "strategy plug-in 'base' has the name of a built-in one",
        "strategy plug-in 'three' offers a int; allowed: the path of a file three.v1.md",
        "strategy plug-in 'file': wrecked.py is not called file.v1.md",
        "audit plug-in 'three' offers a int",
        "measure plug-in 'spearman' has the name of a built-in one",
        "measure plug-in 'three' (wrecked:MISSING) does not load: AttributeError",
    ):
        assert line in said, line
    assert said.count("wrecked 2\n") == 9
    answers = tmp_path / "a.jsonl"
    answers.write_text('{"question_id": "q", "kind": "verify", "gold_correct": true, "says_correct": true}\n')
    aqaudit("audit", "a.jsonl", "--json", "a.json", path=site)
    assert "audit plug-in 'three' offers a int" in (tmp_path / "a.json").read_text()
    study = 'name = "s"\n[[dataset]]\nreader = "folder"\nroot = "."\n[grid]\nmodel = ["m"]\nstrategy = ["three"]\n'
    (tmp_path / "s.toml").write_text(study + '[models.m]\nprovider = "simulated"\n')
    assert "strategy plug-in 'three' offers a int" in aqaudit("run", "s.toml", "--dry-run", code=2, path=site)
    (tmp_path / "s.toml").write_text(study.replace('["three"]', '["base"]') + '[models.m]\nprovider = "three"\n')
    said = aqaudit("run", "s.toml", "--dry-run", code=2, path=site)
    assert "models.m.provider: model provider plug-in 'three' offers a int" in said
    (tmp_path / "s.toml").write_text(study.replace('["three"]', '["base"]') + '[models.m]\nprovider = "simulatd"\n')
    assert "did you mean 'simulated'?" in aqaudit("run", "s.toml", "--dry-run", code=2, path=site)
