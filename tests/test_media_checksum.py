"""Checksums of clips: a changed byte is that clip's failure, with two ways out, and nothing else changes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import made
from aqaudit import BadInput, Study, read_answers, run
from aqaudit.core.records import MediaSpec
from aqaudit.datasets import check
from aqaudit.datasets.proposal import initialise, worked_example
from aqaudit.media.cache import MediaStore
from aqaudit.media.source import checksum
from aqaudit.media.types import MediaError
from media_clips import make_clip, numbered_picture, performance, prepare


def spoil(path: Path) -> None:
    """Change a byte, and leave size and time of the file as they were."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numbered_picture(number, 64, 48)).save(path)


def frames(folder: Path) -> Path:
    for number in range(1, 11):
        picture(folder / f"{number:04d}.png", number)
    return folder


def lines_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_checksum_of_a_file_is_of_its_bytes_and_of_a_folder_of_names_and_bytes_in_order(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=10)
    assert checksum(clip) == hashlib.sha256(clip.read_bytes()).hexdigest()
    folder = frames(tmp_path / "frames")
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    text = "".join(f"{name}\0{sha256}\n" for name, sha256 in hashes.items())
    assert checksum(folder) == hashlib.sha256(text.encode()).hexdigest()
    (folder / "0003.png").rename(folder / "3.png")
    assert checksum(folder) != hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("kind", ["clip", "picture", "frames"])
def test_bytes_that_changed_are_an_error_that_names_both_ways_out(kind: str, tmp_path: Path) -> None:
    store, spec = MediaStore(tmp_path / "store"), MediaSpec(frames=1)
    if kind == "frames":
        media = frames(tmp_path / "frames")
        changed, given = media / "0004.png", {"fps": 10.0}
    elif kind == "picture":
        media = changed = tmp_path / "one.png"
        picture(media, 1)
        given = {}
    else:
        media = changed = make_clip(tmp_path / "clip.mp4", frames=20)
        given = {}
    stated = replace(performance(media, **given), sha256=checksum(media))
    prepare(stated, spec, store)
    spoil(changed)
    with pytest.raises(MediaError) as refused:
        prepare(stated, spec, store)
    said = str(refused.value)
    assert media.name in said
    assert "\n" not in said
    assert "restore the file" in said
    assert "delete sha256 from its line" in said


def test_the_cache_of_hashes_hides_no_changed_byte(tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=3, criteria=1)
    lines = [{**line, "sha256": checksum(data / str(line["media"]))} for line in lines_of(data)]
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    study = Study.read(made.study(data, model=made.SIMULATED))
    assert run(study, out=tmp_path / "first").complete
    spoil(data / "clips/p00001.png")
    outcome = run(study, out=tmp_path / "second")
    assert outcome.tally.failed == {"media": 1}
    assert outcome.tally.answered == 2


def test_a_checksum_is_part_of_no_key(tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=3, criteria=1)
    study = Study.read(made.study(data, model=made.SIMULATED))
    assert run(study, out=tmp_path / "out").tally.answered == 3
    lines = [{**line, "sha256": checksum(data / str(line["media"]))} for line in lines_of(data)]
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    again = run(study, out=tmp_path / "out")
    assert (again.tally.answered, again.tally.found) == (0, 3)
    assert read_answers(tmp_path / "out").height == 3


def test_init_writes_checksums_and_a_check_lists_what_changed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_clip(tmp_path / f"{name}.mp4", frames=10)
    frames(tmp_path / "c")
    initialise(tmp_path)
    assert [line["sha256"] for line in lines_of(tmp_path)] == [checksum(tmp_path / n) for n in ("a.mp4", "b.mp4", "c")]
    assert not [problem for problem in check("folder", tmp_path).problems if "sha256" in problem]
    spoil(tmp_path / "b.mp4")
    spoil(tmp_path / "c" / "0002.png")
    problems = [problem for problem in check("folder", tmp_path).problems if "sha256" in problem]
    assert [re.findall(r"id '(\w)'", problem) for problem in problems] == [["b"], ["c"]]


def test_the_worked_example_states_the_checksums_of_its_clips(tmp_path: Path) -> None:
    worked_example(tmp_path)
    assert all(line["sha256"] == checksum(tmp_path / str(line["media"])) for line in lines_of(tmp_path))


@pytest.mark.parametrize("value", [7, "", "abc", "g" * 64, None])
def test_what_is_no_checksum_is_refused_with_its_place(value: object, tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=2, criteria=1)
    lines = lines_of(data)
    lines[1]["sha256"] = value
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(BadInput, match=r"line 2: .*sha256 is .*64 hexadecimal digits"):
        run(Study.read(made.study(data, model=made.SIMULATED)), out=tmp_path / "out")
