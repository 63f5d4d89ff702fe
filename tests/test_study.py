"""Study files: every key is checked, cells are the product of the factors, skips leave cells out."""

from __future__ import annotations

from pathlib import Path

import pytest

from aqaudit import BadInput, Study
from aqaudit.study.requests import cells_of

BASE = """
name = "s"
[[dataset]]
reader = "folder"
root = "data"
[grid]
model = ["judge"]
GRID
[models.judge]
provider = "simulated"
"""


def parse(grid: str = "", *, text: str = BASE) -> Study:
    return Study.parse(text.replace("GRID", grid), where="study.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE.replace("name =", "nmae ="), ["study.toml", "nmae", "did you mean 'name'"]),
        (BASE.replace("GRID", 'framng = ["positive"]'), ["framng", "did you mean 'framing'"]),
        (BASE.replace("GRID", 'framing = ["upside"]'), ["grid.framing", "upside", "positive"]),
        (BASE.replace("GRID", 'framing = ["positive", "positive"]'), ["grid.framing", "each value once"]),
        (BASE.replace("GRID", "fps = [0]"), ["grid.fps", "0"]),
        (BASE.replace("GRID", "fps = [8]\nframes = [8]"), ["both fps and frames"]),
        (BASE.replace("GRID", "shots = [2]"), ["grid.shots", "few_shot", "shots = [1, 2, 4]"]),
        (BASE.replace("GRID", 'strategy = ["few_shot"]'), ["grid.shots", "few_shot"]),
        (BASE.replace("GRID", 'strategy = ["two_step:txt"]'), ["two_step:txt", "did you mean 'two_step:text'"]),
        (BASE.replace('root = "data"', 'root = "data"\npairs = {use = 3}'), ["pairs.use", "did you mean 'uses'"]),
        (BASE.replace("GRID", 'strategy = ["bas"]'), ["grid.strategy", "bas", "did you mean 'base'"]),
        (BASE.replace("GRID", "repeats = 0"), ["grid.repeats", "0"]),
        (BASE.replace('["judge"]', '["jugde"]'), ["grid.model", "jugde", "did you mean 'judge'"]),
        (BASE.replace("simulated", "simulatd"), ["models.judge.provider", "simulatd"]),
        (BASE.replace("reader =", "readr ="), ["dataset", "readr", "did you mean 'reader'"]),
        (BASE + "[[skip]]\nveiw = 'rgb'", ["skip", "veiw", "did you mean 'view'"]),
        (BASE.replace('name = "s"', 'name = "../up"'), ["name", "../up"]),
        (BASE.replace('name = "s"', ""), ["'name' is missing"]),
        ("name = [", ["not valid TOML"]),
        (BASE.replace('root = "data"', 'root = "data"\ntasks = ["verfy"]'), ["tasks", "verfy"]),
    ],
)
def test_a_slip_in_a_study_is_one_line_that_names_place_and_remedy(text: str, said: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        Study.parse(text.replace("GRID", ""), where="study.toml")
    message = str(caught.value)
    assert all(part in message for part in said), message
    assert "\n" not in message


def test_cells_are_the_product_of_the_factors_a_kind_has() -> None:
    study = parse('framing = ["positive", "negative"]\nperturbation = ["none", "blank"]\nrepeats = 3')
    assert len(cells_of(study, "verify", "judge")) == 12
    assert len(cells_of(study, "score", "judge")) == 6  # one wording
    assert len(cells_of(study, "prefer", "judge")) == 24  # and both orders
    assert len(set(cells_of(study, "prefer", "judge"))) == 24


def test_detect_is_negative_and_the_others_positive_unless_asked_otherwise() -> None:
    assert {c.framing for c in cells_of(parse(), "detect", "judge")} == {"negative"}
    assert {c.framing for c in cells_of(parse(), "verify", "judge")} == {"positive"}


def test_a_skip_leaves_out_cells_that_match_all_its_keys() -> None:
    grid = 'framing = ["positive", "negative"]\nperturbation = ["none", "blank"]\nfps = ["default", 4]'
    study = Study.parse(
        BASE.replace("GRID", grid) + '[[skip]]\nperturbation = "blank"\nfps = 4\n[[skip]]\nkind = "detect"\n',
    )
    found = cells_of(study, "verify", "judge")
    assert len(found) == 6
    assert not [c for c in found if c.perturbation == "blank" and c.fps == 4]
    assert cells_of(study, "detect", "judge") == []


def test_roots_come_from_the_file_beside_the_study_or_from_the_command(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(BASE.replace("GRID", ""))
    study = Study.read(tmp_path / "study.toml")
    assert study.root_of(study.spec.dataset[0]) == tmp_path / "data"
    given = Study.read(tmp_path / "study.toml", roots={"folder": "/elsewhere"})
    assert given.root_of(given.spec.dataset[0]) == Path("/elsewhere")
    with pytest.raises(BadInput, match=r"--root mtl_aqa"):
        Study.read(tmp_path / "study.toml", roots={"mtl_aqa": "/x"})


def test_a_study_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such study file"):
        Study.read(tmp_path / "no.toml")
    with pytest.raises(BadInput, match="did you mean 'quickstart'"):
        Study.read("quickstar")
    assert Study.read("quickstart").name == "quickstart"


def test_models_whose_answers_could_not_be_told_apart_are_refused() -> None:
    twin = BASE.replace('["judge"]', '["judge", "twin"]').replace("GRID", "")
    with pytest.raises(BadInput, match="'judge' and 'twin' are the same model with the same settings"):
        Study.parse(twin + '[models.twin]\nprovider = "simulated"\nlatency_s = 1\n')
    study = Study.parse(twin + '[models.twin]\nprovider = "simulated"\nskill = 0.9\n')
    assert list(study.models) == ["judge", "twin"]


def test_a_slip_in_the_table_of_a_model_that_the_grid_leaves_out_is_a_slip_all_the_same() -> None:
    with pytest.raises(BadInput, match=r"models\.spare\.temprature.*'temperature'"):
        parse(text=BASE + '[models.spare]\nprovider = "openai"\nmodel = "m"\ntemprature = 1\n')
