"""Data sets that may not be shown: a run notes them, reports obey it, merging forgets nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import aqaudit
import made
from aqaudit import BadInput, Study, datasets, report
from aqaudit.core.table import write_parquet
from aqaudit.datasets.readers import folder as folder_reader
from aqaudit.engine.folder import merge
from report_sample import sample


@pytest.fixture
def home(tmp_path: Path) -> Path:
    one = sample(tmp_path / "media").filter(dataset="clinic")
    write_parquet(one, tmp_path / "answers.parquet")
    return tmp_path


def note(home: Path, text: str) -> None:
    (home / "datasets.json").write_text(text, encoding="utf-8")


def test_pictures_of_a_hidden_data_set_are_in_no_report(home: Path) -> None:
    assert "data:image/jpeg" in report(home).read_text()
    note(home, '{"clinic": {"show_frames": false}}')
    for source in (home, home / "answers.parquet"):
        html = report(source).read_text()
        assert "data:image/jpeg" not in html
        assert "Pictures of this data set may not be shown." in html
    note(home, '{"clinic": {"show_frames": true}, "another": {"show_frames": false}}')
    assert "data:image/jpeg" in report(home).read_text()


@pytest.mark.parametrize("text", ["{", "[]", '{"clinic": {}}', '{"clinic": 1}'])
def test_a_note_that_cannot_be_read_hides_everything(text: str, home: Path) -> None:
    note(home, text)
    with pytest.raises(BadInput, match="not known whose pictures may be shown"):
        report(home)
    assert "data:image/jpeg" not in report(home, frames=False).read_text()


def test_a_run_notes_its_data_sets_and_a_merge_keeps_what_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = made.folder(tmp_path / "data", performances=4)
    study = Study.read(made.study(data, model=made.SIMULATED))
    aqaudit.run(study, out=tmp_path / "open")
    assert json.loads((tmp_path / "open/datasets.json").read_text())["made"]["show_frames"] is True
    hiding = replace(
        folder_reader.READER,
        read=lambda root, **options: replace(folder_reader.read(root, **options), show_frames=False),
    )
    monkeypatch.setattr(folder_reader, "READER", hiding)
    assert not datasets.read("folder", data).show_frames
    aqaudit.run(study, out=tmp_path / "hidden")
    html = report(tmp_path / "hidden").read_text()
    assert "Pictures of this data set may not be shown." in html
    assert "data:image/jpeg" not in html
    merge([tmp_path / "open", tmp_path / "hidden"], tmp_path / "both")
    assert json.loads((tmp_path / "both/datasets.json").read_text())["made"]["show_frames"] is False
    monkeypatch.undo()
    aqaudit.run(study, out=tmp_path / "hidden")
    assert json.loads((tmp_path / "hidden/datasets.json").read_text())["made"]["show_frames"] is False
