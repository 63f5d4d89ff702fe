"""The commands as a hostile or clumsy person uses them: exit codes, one clear line, nothing half-written.

Most cases run :func:`aqaudit.cli.main` in this process, as the installed script does; what depends on the process
(closed streams, signals, locks, start-up time) starts one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import made
from aqaudit import cli
from servers import LoopbackServer, chat

PROGRAM = [sys.executable, "-c", "from aqaudit.cli import main; main()"]
ROW = {"question_id": "q1", "kind": "verify", "gold_correct": True, "says_correct": True}


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def aqaudit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process; it is given words and returns exit code and both streams."""

    def command(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["aqaudit", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Result(code=code if isinstance(code, int) else int(code is not None), out=captured.out, err=captured.err)

    return command


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a small data set and a study of a simulated judge; return the study file."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    made.folder(tmp_path, performances=4, criteria=1)
    return made.study(tmp_path, model=made.SIMULATED)


def contents(folder: Path) -> dict[str, str | None]:
    """Return every path below a folder with the hash of what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        # SQLite's helpers come and go with each reader
        if not path.name.endswith(("-shm", "-wal"))
    }


def refused(result: Result) -> str:
    """Check that a command was refused as the contract says; return its message."""
    assert result.code == 2, (result.code, result.err[-2000:], result.out)
    assert result.out == ""
    assert result.err.startswith("aqaudit: ")
    assert result.err.count("\n") == 1, result.err
    assert result.err.endswith("\n")
    assert not [c for c in result.err[:-1] if unicodedata.category(c) in {"Cc", "Cf", "Cs"}], ascii(result.err)
    return result.err


def refuses(aqaudit: Command, *words: object) -> str:
    """Run a command that must be refused and must leave every file as it was; return its message."""
    here = Path.cwd()
    before = contents(here)
    message = refused(aqaudit(*words))
    assert contents(here) == before
    return message


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def line_of(root: Path, **keys: object) -> None:
    """Make ``clips.jsonl`` one line: the first one, with other values."""
    first = json.loads((root / "clips.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (root / "clips.jsonl").write_text(json.dumps({**first, **keys}) + "\n", encoding="utf-8")


def clip(path: Path, *, frames: int = 10, picture: bool = True) -> Path:
    """Write a clip of one second at ten frames a second, or one second of silence alone."""
    with av.open(str(path), "w") as container:
        if picture:
            stream = container.add_stream("libx264", rate=10)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            for i in range(frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 9 * i, np.uint8))))
        else:
            stream = container.add_stream("aac", rate=44100)
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
            sound.sample_rate = 44100
            container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path


# --- the option parser -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rn"], "did you mean 'run'"),
        (["data", "chek", "folder", "."], "did you mean 'check'"),
        (["--nope"], "--nope"),
        (["run"], "missing argument 'study'"),
        (["status"], "missing argument"),
        (["merge", "one"], "--out"),
        (["run", "study.toml", "extra"], "extra"),
        (["run", "study.toml", "--limt", "3"], "--limit"),
        (["run", "study.toml", "--limit", "0"], "--limit"),
        (["run", "study.toml", "--limit", "x"], "--limit"),
        (["run", "study.toml", "--max-usd", "-1"], "--max-usd"),
        (["run", "study.toml", "--max-usd", "nan"], "--max-usd"),
        (["run", "study.toml", "--max-requests", "0"], "--max-requests"),
        (["run", "study.toml", "--max-wait", "-1"], "--max-wait"),
        (["run", "study.toml", "--shard", "0/3"], "1 <= I <= N"),
        (["run", "study.toml", "--shard", "4/3"], "1 <= I <= N"),
        (["run", "study.toml", "--shard", "1"], "1 <= I <= N"),
        (["run", "study.toml", "--shard", "²/³"], "1 <= I <= N"),
        (["run", "study.toml", "--root", "x"], "NAME=PATH"),
        (["run", "study.toml", "--root", "=x"], "NAME=PATH"),
        (["run", "study.toml", "--root", "folder="], "NAME=PATH"),
        (["run", "study.toml", "--root", "foldr=."], "did you mean 'folder'?"),
        (["run", "study.toml", "--root", "folder=nowhere"], "nowhere is not a folder"),
        (["run", "study.toml", "--root", "folder=study.toml"], "it is a file"),
        (["run", "study.toml", "--engine", "rya"], "did you mean 'ray'?"),
        (["run", "study.toml", "--allow-upload", "mde"], "did you mean 'made'?"),
        (["run", "study.toml", "--reparse"], "no answers here"),
        (["models", "--check", "simulatd"], "did you mean 'simulated'?"),
        (["models", "--check", "gemini-3.1-pro"], "GEMINI_API_KEY"),
        (["data", "check", "foldr", "."], "did you mean 'folder'?"),
        (["data", "check", "folder", "nope"], "nope is not a folder"),
    ],
)
def test_a_slip_on_the_command_line_gets_one_line_and_changes_nothing(
    study: Path, aqaudit: Command, words: list[str], said: str
) -> None:
    assert study.is_file()
    assert said.lower() in refuses(aqaudit, *words).lower()


def test_no_command_shows_the_help_and_fails(study: Path, aqaudit: Command) -> None:
    for words in ([], ["data"]):
        result = aqaudit(*words)
        assert result.code == 2
        assert result.err.count("\n") == 1
        assert "Usage:" in result.out


def test_messages_escape_what_would_steer_a_terminal(study: Path, aqaudit: Command) -> None:
    for name in ("\x1b[31mred.toml", "two\nlines.toml", "\u202egnp.toml", "\x9b2J.toml", "a\rb.toml"):
        refuses(aqaudit, "run", name)
        refuses(aqaudit, "status", name)
        refuses(aqaudit, "audit", name)
    assert "\\xff" in refuses(aqaudit, "status", os.fsdecode(b"bad\xff"))


def test_output_on_standard_output_holds_no_terminal_control(study: Path, aqaudit: Command) -> None:
    result = aqaudit("run", study, "--out", "o\x1b[31m")
    assert result.code == 0
    assert "\x1b" not in result.out


# --- studies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "made', 'naem = "made', "did you mean 'name'?"),
        ("reader =", "reder =", "did you mean 'reader'?"),
        ('model = ["judge"]', 'model = ["judge"]\nvew = ["rgb"]', "did you mean 'view'?"),
        ("skill =", "skil =", "did you mean 'skill'?"),
        ('["judge"]', '["juge"]', "did you mean 'judge'?"),
        ('["judge"]', '["gemini-3-pro"]', "did you mean 'gemini-3.1-pro'?"),
        ('["judge"]', '["judge", "judge"]', "each value once"),
        ('"simulated"', '"simulatd"', "did you mean 'simulated'?"),
        ('"folder"', '"foldr"', "did you mean 'folder'?"),
        ('"verify"', '"verfy"', "'verify'"),
        ('"verify"', '"choose"', "no label for task 'choose'"),
        ("tasks =", 'split = "tst"\ntasks =', "split"),
        ("tasks =", "options = {marks = 1}\ntasks =", "no option 'marks'"),
        ('root = "."', 'root = "nope"', "nope is not a folder"),
        ('root = "."\n', "", "--root folder=PATH"),
        ("[[dataset]]", "[dataset]", "[[dataset]]"),
        ("[models", 'view = ["crops"]\n[models', "'crop'"),
        ("[models", "fps = [inf]\n[models", "'default' or a number above 0"),
        ("[models", "fps = [0]\n[models", "'default' or a number above 0"),
        ("[models", "frames = [1]\nfps = [1]\n[models", "both fps and frames"),
        ("[models", "repeats = 1000000000\n[models", "repeats"),
        ("seed = 3", "seed = 99999999999999999999", "seed"),
        ("seed = 3", 'seed = "3"', "seed"),
        ("seed = 3", "seed = true", "seed"),
        ("skill = 1.0", "skill = nan", "skill"),
        ("skill = 1.0", "skill = 7", "skill"),
        ("[models", '[[skip]]\nstratgy = "base"\n[models', "did you mean 'strategy'?"),
        ("[models", '[[skip]]\nframing = "postive"\n[models', "did you mean 'positive'?"),
        ("[models", "[[skip]]\n[models", "empty [[skip]]"),
        ("[models", '[[skip]]\nmodel = "judge"\n[models', "skip"),
        ("made-study", "../up", "name"),
        ("seed", "=", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_study_names_the_key_and_what_is_allowed(
    study: Path, aqaudit: Command, old: str, new: str, said: str
) -> None:
    edit(study, old, new)
    assert said in refuses(aqaudit, "run", study.name)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_ulr": "x"}, "did you mean 'base_url'?"),
        ({"api_key": "sk-0123"}, "did you mean 'api_key_env'?"),
        ({"reasoning_effort": "high"}, "unknown key"),
        ({"thinking": "hgh"}, "did you mean 'high'?"),
        ({"resolution": "low"}, "only google"),
        ({"skill": 0.9}, "only simulated"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 10**9}, "concurrency"),
        ({"usd_per_mtok": [1]}, "usd_per_mtok"),
        ({"api_key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
    ],
)
def test_an_option_that_the_provider_does_not_have_is_named(
    study: Path, aqaudit: Command, settings: dict[str, Any], said: str
) -> None:
    edit(study, made.SIMULATED, made.served("http://127.0.0.1:9/v1", **settings))
    assert said in refuses(aqaudit, "run", study.name)


@pytest.mark.parametrize("url", ["127.0.0.1:9", "ftp://localhost", "http://", "http://[::1", "http://localhost:99999"])
def test_an_address_that_is_none_is_refused(study: Path, aqaudit: Command, url: str) -> None:
    edit(study, made.SIMULATED, made.served(url))
    assert "base_url" in refuses(aqaudit, "run", study.name)


def test_a_key_written_into_the_study_is_refused_and_not_repeated(study: Path, aqaudit: Command) -> None:
    edit(study, made.SIMULATED, made.served("http://127.0.0.1:9/v1", api_key_env="sk-proj-0123456789"))
    assert "sk-proj" not in refuses(aqaudit, "run", study.name)


def test_a_study_that_is_no_study_is_refused(study: Path, aqaudit: Command) -> None:
    (study.parent / "folder.toml").mkdir()
    (study.parent / "binary.toml").write_bytes(bytes(range(256)))
    (study.parent / "utf16.toml").write_bytes(study.read_text(encoding="utf-8").encode("utf-16"))
    (study.parent / "empty.toml").touch()
    assert "no such study file" in refuses(aqaudit, "run", "nope.toml")
    assert "did you mean 'quickstart'?" in refuses(aqaudit, "run", "quickstrat")
    assert "it is a folder" in refuses(aqaudit, "run", "clips")
    assert "cannot be read" in refuses(aqaudit, "run", "folder.toml")
    assert "UTF-8" in refuses(aqaudit, "run", "binary.toml")
    assert "UTF-8" in refuses(aqaudit, "run", "utf16.toml")
    assert "'name' is missing" in refuses(aqaudit, "run", "empty.toml")


# --- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"perfomer": "x"}, "did you mean 'performer'?"),
        ({"id": "a\nb"}, "id"),
        ({"id": "a\x1b[31mb"}, "id"),
        ({"id": "../a"}, "id"),
        ({"media": "clips/missing.png"}, "missing"),
        ({"media": "clips/\x1b[31m\n.png"}, "missing"),
        ({"media": "../outside.png"}, "'..'"),
        ({"media": "clips/" + "x" * 300 + ".png"}, "missing"),
        ({"scores": {"execution": 11}}, "allowed: 0 to 10"),
        ({"scores": {"execution": float("nan")}}, "NaN"),
        ({"scores": {"excution": 1}}, "did you mean 'execution'?"),
        ({"criteria": {"c1": True}}, "not declared"),
        ({"criteria": {"c0": 1}}, "true or false"),
        ({"action": "sqat"}, "action"),
    ],
)
def test_a_mistake_in_a_line_names_file_and_what_is_allowed(
    study: Path, aqaudit: Command, keys: dict[str, Any], said: str
) -> None:
    line_of(study.parent, **keys)
    message = refuses(aqaudit, "run", study.name)
    assert "clips.jsonl" in message
    assert said in message


def test_strange_but_allowed_names_run_to_the_end(study: Path, aqaudit: Command) -> None:
    root = study.parent
    strange = root / "clips" / "-rf \"q\" 'ü' 動画 $(x).png"
    shutil.copy(root / "clips" / "p00000.png", strange)
    line_of(root, id="-rf \"q\" 'ü' 動画", media=f"clips/{strange.name}", performer="<b>&x")
    assert aqaudit("run", study.name).code == 0
    assert aqaudit("audit", "out/made-study").code == 0
    assert aqaudit("report", "out/made-study").code == 0


def test_two_lines_with_one_id_are_refused(study: Path, aqaudit: Command) -> None:
    path = study.parent / "clips.jsonl"
    path.write_text(path.read_text() + "\n" + path.read_text().splitlines()[0])
    assert "every line needs its own id" in refuses(aqaudit, "run", study.name)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "made"', 'name = "made"\nlicens = "x"', "did you mean 'licence'?"),
        ("positive =", "positve =", "did you mean 'positive'?"),
        ("[[criterion]]", "[[criterium]]", "did you mean 'criterion'?"),
        ("max = 10", "max = nan", "max"),
        ("max = 10", "max = -1", "min must be below max"),
        ('"made"', '"m\\u001b[31mde"', "printable"),
        ('name = "made"', 'name = "made"\nallow_upload = "yes"', "true or false"),
    ],
)
def test_a_mistake_in_dataset_toml_is_named(study: Path, aqaudit: Command, old: str, new: str, said: str) -> None:
    edit(study.parent / "dataset.toml", old, new)
    assert said in refuses(aqaudit, "run", study.name)


def test_media_that_are_no_media_are_refused_by_name(study: Path, aqaudit: Command) -> None:
    clips = study.parent / "clips"
    whole = clip(clips / "good.mp4").read_bytes()
    clip(clips / "sound.mp4", picture=False)
    (clips / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (clips / "zero.mp4").touch()
    (clips / "junk.mp4").write_bytes(bytes(range(256)) * 20)
    (clips / "text.png").write_text("hello")
    (clips / "folder.mp4").mkdir()
    (clips / "hollow").mkdir()
    os.mkfifo(clips / "pipe.mp4")
    (clips / "nowhere.mp4").symlink_to("gone.mp4")
    (clips / "loop.mp4").symlink_to("loop.mp4")
    (clips / "endless.mp4").symlink_to("/dev/zero")
    original = (study.parent / "clips.jsonl").read_text()
    for name in ("sound", "half", "zero", "junk", "folder", "pipe", "nowhere", "loop", "endless"):
        line_of(study.parent, media=f"clips/{name}.mp4")
        assert f"{name}.mp4" in refused(aqaudit("run", study.name)), name
    for keys, said in (
        ({"media": "clips/text.png"}, "not a picture"),
        ({"media": "clips/hollow", "fps": 5}, "no numbered frames"),
        ({"media": "clips/good.mp4", "end_s": 3.5}, "shorter than its times"),
        ({"media": "clips/good.mp4", "start_s": 2.5}, "shorter than its times"),
    ):
        (study.parent / "clips.jsonl").write_text(original)
        line_of(study.parent, **keys)
        assert said in refused(aqaudit("run", study.name))
    assert not (study.parent / "out").exists()


def test_data_check_reports_problems_without_failing(study: Path, aqaudit: Command) -> None:
    line_of(study.parent, media="clips/\x1b[31mgone.png")
    result = aqaudit("data", "check", "folder", ".")
    assert result.code == 0
    assert "gone.png" in result.out
    assert "\x1b" not in result.out


# --- sending ---------------------------------------------------------------------------------------------------------


def test_nothing_leaves_the_machine_unless_it_was_allowed(study: Path, aqaudit: Command) -> None:
    remote = made.served("http://192.0.2.1:9/v1", timeout_s=1)  # an address that no one has
    edit(study, made.SIMULATED, remote)
    for words in ([], ["--dry-run"]):
        message = refuses(aqaudit, "run", study.name, *words)
        assert "192.0.2.1" in message
        assert "--allow-upload made" in message
    assert "did you mean 'made'?" in refuses(aqaudit, "run", study.name, "--allow-upload", "mde")
    planned = aqaudit("run", study.name, "--allow-upload", "made", "--dry-run")
    assert planned.code == 0
    assert "leaves this machine" in planned.out
    assert "api_key_env" in refuses(aqaudit, "run", study.name, "--allow-upload", "made")


def test_refusals_come_before_the_first_request(study: Path, aqaudit: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-secret")
    with LoopbackServer(lambda _: chat()) as server:
        edit(study, made.SIMULATED, made.served(server.url, api_key_env="JUDGE_KEY"))
        assert "no price is known" in refuses(aqaudit, "run", study.name, "--max-usd", "1")
        refuses(aqaudit, "run", study.name, "--out", "study.toml")
        refuses(aqaudit, "run", study.name, "--out", "clips")
        assert not server.seen
        assert aqaudit("run", study.name, "--max-requests", "1").code == 1
        assert len(server.seen) == 1
        assert aqaudit("run", study.name).code == 0
        assert len(server.seen) == 4
    for path in Path("out").rglob("*"):
        assert path.is_dir() or b"sk-secret" not in path.read_bytes(), path


# --- folders and answers ---------------------------------------------------------------------------------------------


def test_an_output_folder_belongs_to_one_study(study: Path, aqaudit: Command) -> None:
    other = study.with_name("other.toml")
    other.write_text(study.read_text().replace("made-study", "other"))
    assert aqaudit("run", study.name, "--out", "o1").code == 0
    assert aqaudit("run", other.name, "--out", "o2").code == 0
    assert "holds answers of study 'made-study'" in refuses(aqaudit, "run", other.name, "--out", "o1")
    assert "'made-study'" in refuses(aqaudit, "run", other.name, "--out", "o1", "--reparse")
    assert "only folders of one study" in refuses(aqaudit, "merge", "o1", "o2", "-o", "m")
    Path("link").symlink_to("o1")
    for itself in ("o1", "./clips/../o1", "link"):
        assert "one of the folders to merge" in refuses(aqaudit, "merge", "o1", "-o", itself)
    assert "holds answers of study" in refuses(aqaudit, "merge", "o1", "-o", "o2")
    assert "nothing to merge" in refuses(aqaudit, "merge", "o1", "nope", "-o", "m")
    assert "not an output folder" in refuses(aqaudit, "merge", "o1", "-o", "clips")
    assert aqaudit("merge", "o1", "o1", "-o", "m").out == "m: 4 answers, 0 failures\n"
    assert aqaudit("run", study.name, "--out", "o1", "--reparse").code == 0


@pytest.mark.parametrize("out", ["study.toml", "clips", "study.toml/below", "", "x" * 300, "/proc/nope"])
def test_an_output_folder_that_cannot_be_one_is_refused(study: Path, aqaudit: Command, out: str) -> None:
    refuses(aqaudit, "run", study.name, "--out", out)


def test_a_broken_journal_is_named_and_left_alone(study: Path, aqaudit: Command) -> None:
    assert aqaudit("run", study.name, "--out", "good").code == 0
    whole = Path("good/answers.sqlite").read_bytes()
    with contextlib.closing(sqlite3.connect("newer.sqlite")) as newer:
        newer.executescript("CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('journal_version', '99')")
    cases = {"junk": b"hello" * 99, "half": whole[: len(whole) // 2], "newer": Path("newer.sqlite").read_bytes()}
    for name, content in cases.items():
        Path(name).mkdir()
        Path(name, "answers.sqlite").write_bytes(content)
        for words in (["status", name], ["merge", name, "-o", "m"], ["run", study.name, "--out", name]):
            assert "answers.sqlite" in refuses(aqaudit, *words)
    Path("hollow/answers.sqlite").mkdir(parents=True)
    for words in (["status", "hollow"], ["run", study.name, "--out", "hollow"], ["audit", "hollow"]):
        refuses(aqaudit, *words)
    for nowhere in ("nope", "study.toml", "clips"):
        assert "expected the output folder of a run" in refuses(aqaudit, "status", nowhere)


def test_answers_that_cannot_be_audited_are_refused_with_their_place(study: Path, aqaudit: Command) -> None:
    assert aqaudit("run", study.name, "--out", "o").code == 0
    whole = Path("o/answers.parquet").read_bytes()
    second: Mapping[str, str] = {
        "word.jsonl": json.dumps({**ROW, "question_id": "q2", "says_correct": "maybe"}),
        "broken.jsonl": "{oops",
        "list.jsonl": "[1]",
        "kind.jsonl": json.dumps({**ROW, "question_id": "q2", "kind": "verfy"}),
        "nan.jsonl": json.dumps({**ROW, "question_id": "q2", "kind": "score", "gold_score": "NaN", "score": 1}),
        "escape.jsonl": json.dumps({**ROW, "question_id": "q2", "kind": "\x1b[31mred"}),
    }
    for name, line in second.items():
        Path(name).write_text(json.dumps(ROW) + "\n" + line + "\n")
        message = refuses(aqaudit, "audit", name)
        assert "row 2" in message or "line 2" in message, message
        refuses(aqaudit, "report", name, "-o", "page/report.html")
    files: Mapping[str, bytes] = {
        "table.csv": b"question_id,kind\n",
        "empty.parquet": b"",
        "empty.jsonl": b"",
        "blank.jsonl": b"\n\n",
        "empty.sqlite": b"",
        "half.parquet": whole[: len(whole) // 2],
        "junk.parquet": b"junk" * 100,
        "binary.jsonl": b"\xff\xfe\x00",
        "names.jsonl": b'{"a": 1}\n',
    }
    for name, content in files.items():
        Path(name).write_bytes(content)
        assert name in refuses(aqaudit, "audit", name)
        assert name in refuses(aqaudit, "report", name)
    Path("mark.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8-sig")
    assert aqaudit("audit", "mark.jsonl").code == 0


def test_audit_and_report_write_where_they_are_told_or_say_why_not(study: Path, aqaudit: Command) -> None:
    assert aqaudit("run", study.name, "--out", "o").code == 0
    assert "cannot be written" in refuses(aqaudit, "audit", "o", "--json", "clips")
    assert "cannot be written" in refuses(aqaudit, "audit", "o", "--json", "nope/findings.json")
    assert "is a folder" in refuses(aqaudit, "report", "o", "-o", "clips")
    assert "cannot be written" in refuses(aqaudit, "report", "o", "-o", "study.toml/report.html")
    assert aqaudit("report", "o", "-o", "new/deep/page.html").out == "new/deep/page.html\n"
    assert Path("new/deep/page.html").is_file()
    assert set(json.loads(aqaudit("audit", "o", "--json", "-").out)) == {"signature", "findings"}


def test_init_refuses_what_it_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aqaudit: Command) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no clips" in refuses(aqaudit, "init", ".")
    assert "not a folder" in refuses(aqaudit, "init", "nope")
    made.folder(tmp_path / "made", performances=2)
    (tmp_path / "made" / "clips").rename(tmp_path / "clips")
    shutil.rmtree(tmp_path / "made")
    for content in (
        "clip,score\np00000.png,é\n".encode("latin-1"),
        "clip,score\np00000.png,1\n".encode("utf-16"),
        b"clip,score\np00000\x00.png,1\n",
        b"",
        b"clip,score\n",
        b"foo,bar\n1,2\n",
        b"clip,score\np00000.png,1\np00000.png,2\n",
        b"clip,score\n\x1b[31mnope.png,1\n",
        b"clip,score\np00000.png\n",
        b'clip,score\n"p00000.png,1\n',
    ):
        (tmp_path / "labels.csv").write_bytes(content)
        assert "labels.csv" in refuses(aqaudit, "init", ".", "--csv", "labels.csv")
    (tmp_path / "labels.csv").write_bytes("\ufeffclip;score\r\np00000.png;1\r\np00001.png;2\r\n".encode())
    assert aqaudit("init", ".", "--csv", "labels.csv").code == 0
    assert "is there already" in refuses(aqaudit, "init", ".")


# --- processes -------------------------------------------------------------------------------------------------------


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``aqaudit`` is this command line."""
    function = f'aqaudit() {{ "{sys.executable}" -c "from aqaudit.cli import main; main()" "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", function + command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        check=False,
    )


def test_output_that_nobody_takes_is_no_traceback(study: Path) -> None:
    assert (done := shell("aqaudit data list | head -1")).returncode == 0, done
    assert done.stderr == ""
    assert shell("aqaudit status nope 2>&-").returncode == 2
    full = shell("aqaudit data list > /dev/full")
    assert full.returncode == 2
    assert full.stderr.count("\n") == 1
    narrow = shell("aqaudit data list; aqaudit --help", COLUMNS="3", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (narrow.returncode, narrow.stderr) == (0, "")


def test_a_home_that_cannot_be_written_costs_nothing_but_time(study: Path) -> None:
    done = shell("unset AQAUDIT_CACHE; HOME=/proc/nope aqaudit run study.toml")
    assert (done.returncode, done.stderr) == (0, ""), done


def test_a_study_runs_from_any_folder_and_through_links(
    study: Path, aqaudit: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    (elsewhere / "link").symlink_to(study.parent)
    assert aqaudit("run", "link/study.toml", "--out", "o").code == 0
    assert aqaudit("run", os.path.relpath(study), "--out", "o").out == "o: 0 answered now, 4 found, 0 failed, 0 left\n"


@pytest.fixture
def going(study: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that takes half a minute and has begun to answer."""
    made.folder(study.parent, performances=60, criteria=2)
    edit(study, made.SIMULATED, made.SIMULATED + "\nlatency_s = 0.5\nconcurrency = 2")
    process = subprocess.Popen(
        [*PROGRAM, "run", study.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=study.parent
    )
    until = time.monotonic() + 20
    while time.monotonic() < until and not any(Path("out").rglob("answers.sqlite")):
        time.sleep(0.05)
    time.sleep(0.7)
    yield process
    process.kill()
    process.communicate()


def test_a_folder_in_use_refuses_a_second_run_and_shows_its_state(
    going: subprocess.Popen[str], aqaudit: Command
) -> None:
    out = "out/made-study"
    assert "another run is writing" in refused(aqaudit("run", "study.toml"))
    assert "another run is writing" in refused(aqaudit("run", "study.toml", "--reparse"))
    assert "running" in aqaudit("status", out).out
    assert aqaudit("audit", out).code == 0
    going.send_signal(signal.SIGINT)
    told, error = going.communicate(timeout=20)
    assert going.returncode == 1
    assert "stopped: interrupted" in told
    assert "to go on: aqaudit run study.toml" in told
    assert error == ""  # no progress line where standard error is no terminal
    assert "not running" in aqaudit("status", out).out


def test_help_starts_quickly() -> None:
    used = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*PROGRAM, "--help"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    heavy = "import sys, aqaudit.cli; print(sorted({'polars', 'pydantic', 'av', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"
    assert min(used) < 0.3
