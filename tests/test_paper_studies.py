"""The bundled studies: each runs end to end on made roots of its data sets, and on a server of each kind."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import aqaudit
import made
import made_egoexo_fitness
import made_finefs
import made_fitness_aqa
import made_llm_fms
import made_mtl_aqa
from aqaudit import BadInput, Study, datasets, read_answers
from aqaudit.models.catalog import presets
from aqaudit.reporting import factors
from media_clips import make_clip
from servers import LoopbackServer
from test_strategies_run import PROVIDERS

NAMES = sorted(
    entry.name.removesuffix(".toml")
    for entry in files("aqaudit.study").joinpath("bundled").iterdir()
    if entry.name.endswith(".toml") and entry.name not in {"quickstart.toml", "probe-time.toml"}
)
PAPER = {
    "gemini-3.1-pro",
    "qwen3-vl-235b-instruct",
    "qwen3-vl-235b-thinking",
    "internvl3.5-241b",
    "internvl3.5-241b-thinking",
}
READERS = ("llm_fms", "egoexo_fitness", "fitness_aqa", "finefs", "mtl_aqa")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One small root in the published shape for each of the paper's data sets."""
    at = tmp_path_factory.mktemp("roots")
    spin = made_finefs.element
    programs = {
        number: made_finefs.program([spin("FCSp4", 3.2, [number % 6 - 1] * 9, "0-01,0-04"), *made_finefs.SHORT[2:]])
        for number in range(12)
    }
    # A squat by another person, so that there is a pair of one action.
    judged = made_egoexo_fitness.judgements()
    judged["CeqSkC_action_0"]["annotations"] = [made_egoexo_fitness.annotation("Sumo Squat", *["True"] * 3)]
    made = {
        "llm_fms": made_llm_fms.release(at / "llm_fms", subjects=9),
        "egoexo_fitness": made_egoexo_fitness.release(at / "egoexo_fitness", judged=judged, real=True),
        "fitness_aqa": made_fitness_aqa.fill(made_fitness_aqa.release(at / "fitness_aqa")),
        "finefs": made_finefs.release(at / "finefs", programs),
        "mtl_aqa": made_mtl_aqa.release(at / "mtl_aqa"),
    }
    return {name: str(root) for name, root in made.items()}


def text_of(name: str) -> str:
    return files("aqaudit.study").joinpath(f"bundled/{name}.toml").read_text(encoding="utf-8")


def study(name: str, roots: dict[str, str], model: str = "simulated", table: str = "") -> Study:
    """The bundled study with another model, no more examples than small roots have, and whole frames only.

    The made clips show colours: nobody is found in them whom the other views could draw.
    """
    text = text_of(name) + table
    text = re.sub(r'^view = \["rgb".*$', 'view = ["rgb"]', text, flags=re.MULTILINE)
    text = text.replace("shots = [0, 1, 2, 4]", "shots = [0, 1]")
    if "prefer" in text:  # the test splits of small roots hold a single person
        text = text.replace('split = "test"\n', "")
    named = {d["reader"] for d in tomllib.loads(text)["dataset"]}
    return Study.parse(text, where=name, roots={k: v for k, v in roots.items() if k in named}, models=[model])


@pytest.mark.parametrize("name", NAMES)
def test_every_study_asks_the_papers_models_says_what_is_ours_and_names_its_data_sets(name: str) -> None:
    loaded, text = Study.read(name), text_of(name)
    assert loaded.name == name
    comment = text[: text.index("name = ")]
    assert "Ours:" in comment
    assert "2604.08294" in comment
    assert {d.reader for d in loaded.spec.dataset} <= set(READERS)
    assert all(d.root is None and d.tasks and d.split == "test" for d in loaded.spec.dataset)
    if name.startswith("paper"):
        assert "The paper's:" in comment
        assert set(loaded.models) >= PAPER
    for model in PAPER & set(loaded.models):
        assert loaded.models[model] == presets()[model]
    with pytest.raises(BadInput, match="--root"):
        aqaudit.run(loaded, out=Path("never"))


@pytest.mark.parametrize("name", NAMES)
def test_every_study_runs_on_made_roots_with_a_simulated_judge(
    name: str, roots: dict[str, str], tmp_path: Path
) -> None:
    loaded = study(name, roots)
    outcome = aqaudit.run(loaded, out=tmp_path / "out")
    assert outcome.complete, outcome.tally.failed
    answers = read_answers(tmp_path / "out")
    assert set(answers["parse"]) == {"ok"}
    asked = {(d.reader, kind) for d in loaded.spec.dataset for kind in d.tasks or ()}
    assert set(answers.select("dataset", "kind").unique().iter_rows()) == asked
    grid = loaded.spec.grid
    assert set(answers["strategy"]) == set(grid.strategy)
    assert set(answers["view"]) == set(grid.view)
    assert {table.name for table in factors.tables(answers)} >= {"paper_baseline", "paper_baseline_figures"}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", NAMES)
def test_every_study_runs_on_a_server_of_each_kind(
    name: str, provider: str, roots: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "secret")
    table, reply, _ = PROVIDERS[provider]
    with LoopbackServer(reply) as server:
        loaded = study(name, roots, "served", f"\n[models.served]\n{table.replace('URL', server.url)}\n")
        outcome = aqaudit.run(loaded, out=tmp_path / "out", limit=25)
    assert outcome.complete, outcome.tally.failed
    answers = read_answers(tmp_path / "out")
    assert answers.height == min(25, outcome.tally.planned)
    assert set(answers["parse"]) <= {"ok", "out_of_range"}  # the server says 5 whatever the scale
    assert set(answers["endpoint"]) == {server.url}


def test_a_study_runs_what_has_a_root_and_says_what_has_none(
    roots: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from aqaudit.cli.app import app

    out = tmp_path / "out"
    command = ["run", "paper-baseline", "--model", "simulated", "--out", str(out), "--quiet"]
    with pytest.raises(SystemExit) as ended:
        app([*command, "--root", f"mtl_aqa={roots['mtl_aqa']}"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for name in ("llm_fms", "egoexo_fitness", "fitness_aqa", "finefs"):
        assert f"left out: {name} has no root; give --root {name}=PATH" in said
    assert set(read_answers(out)["dataset"]) == {"mtl_aqa"}


def test_examples_of_the_papers_data_sets_are_by_others_than_those_asked_about(roots: dict[str, str]) -> None:
    from aqaudit.engine.preparation import plan_only
    from aqaudit.study.requests import shown_in_order

    loaded = study("paper-few-shot", roots)
    seen = set()
    for request in plan_only(loaded).requests("simulated"):
        asked, *examples = shown_in_order(request)
        seen.add((request.question.dataset, len(examples)))
        for example in examples:
            assert example.split == "train"
            assert example.performer != asked.performer
            assert example.video != asked.video
    assert {dataset for dataset, k in seen if k == 1} == set(READERS)


def test_the_bundled_data_sets_say_what_a_guideline_lists(roots: dict[str, str]) -> None:
    from aqaudit.prompts.framing import guideline

    kinds = {
        "llm_fms": "choose",
        "egoexo_fitness": "verify",
        "fitness_aqa": "detect",
        "finefs": "score",
        "mtl_aqa": "score",
    }
    for name, root in roots.items():
        data = datasets.read(name, Path(root), split="test")
        for action in {p.action for p in data.performances}:
            listed = guideline(data, action, kinds[name], "positive")  # type: ignore[arg-type]
            assert listed or not any(d.action == action for d in (*data.criteria, *data.errors, *data.choices))
            if name in {"finefs", "mtl_aqa"}:
                assert len(listed) >= 5, action


def test_the_views_of_the_paper_are_drawn_where_the_performer_is_known(tmp_path: Path) -> None:
    root = made.folder(tmp_path / "data", performances=4, criteria=1)
    (root / "poses").mkdir()
    joints = np.zeros((23, 17, 3), np.float32)
    joints[..., 0] = 160 + 40 * np.cos(np.arange(17))
    joints[..., 1] = np.linspace(40, 200, 17)
    joints[..., 2] = 1
    for i in range(4):
        make_clip(root / f"clips/p{i:05d}.mp4", frames=20 + i, fps=10)
        np.savez(root / f"poses/p{i:05d}.npz", keypoints=joints[: 20 + i], fps=10.0, width=320, height=240)
    (root / "clips.jsonl").write_text((root / "clips.jsonl").read_text().replace(".png", ".mp4"))
    table = tomllib.loads(text_of("paper-views"))
    grid = f"view = {table['grid']['view']}".replace("'", '"')
    loaded = Study.read(made.study(root, model=made.SIMULATED, grid=grid))
    assert aqaudit.run(loaded, out=tmp_path / "out").complete
    answers = read_answers(tmp_path / "out")
    assert set(answers["view"]) == {"rgb", "crop", "overlay", "skeleton"}
    by_view = {tuple(files) for files in answers.filter(performance_id="p00000")["media_sha256"].to_list()}
    assert len(by_view) == 4
    assert "paper_view" in {table.name for table in factors.tables(answers)}
