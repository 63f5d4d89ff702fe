"""What cannot be asked in process, through the command line: one line, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import made

TESTS = Path(__file__).resolve().parent
PROGRAM = [sys.executable, "-c", "from aqaudit.cli import main; main()"]
#: The same with so much address space: enough for torch, not for the 12 GB of weights or 360 GB of a picture below.
BOUNDED = [sys.executable, "-c", f"import resource; resource.setrlimit(resource.RLIMIT_AS, (2**33,) * 2); {PROGRAM[2]}"]
BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import tiny_families
tiny_families.build("llava", Path(sys.argv[2], "whole"))
tiny_families.build("text_only", Path(sys.argv[2], "text"))
"""
pytestmark = pytest.mark.skipif(
    (find_spec("torch") is None or find_spec("transformers") is None)
    and "server" not in os.environ.get("AQAUDIT_REQUIRE", ""),
    reason="torch and transformers are not installed (extra hf)",
)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "80", **more}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models: one that is whole, and what people name by mistake."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-c", BUILD, str(TESTS), str(folder)], check=True, env=environment())
    copied(folder, "silent").joinpath("chat_template.jinja").unlink()
    os.truncate(copied(folder, "vast") / "model.safetensors", 9 * 10**12)  # a hole: it takes no room on the disk
    (folder / "empty").mkdir()
    foreign = copied(folder, "foreign")
    (foreign / "configuration_own.py").write_text("raise SystemExit('code of a stranger was run')\n")
    own = {"model_type": "own", "auto_map": {"AutoConfig": "configuration_own.OwnConfig"}}
    (foreign / "config.json").write_text(json.dumps(own))
    return folder


def copied(models: Path, name: str) -> Path:
    """Copy the model that is whole."""
    (models / name).mkdir()
    for file in (models / "whole").iterdir():
        (models / name / file.name).write_bytes(file.read_bytes())
    return models / name


def asked(tmp_path: Path, how: str, model: object, program: list[str], **more: str) -> tuple[int, str, str]:
    """Write a study of a few pictures that asks a model and check or run it; return code, output and error output."""
    study = made.study(made.folder(tmp_path, performances=3), model=f'provider = "hf"\nmodel = "{model}"')
    words = {
        "check": ["models", "--check", "judge", "--study", str(study)],
        "run": ["run", str(study), "--out", str(tmp_path / "out"), "--quiet"],
    }[how]
    done = subprocess.run(
        [*program, *words],
        check=False,
        cwd=tmp_path,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def refused(tmp_path: Path, how: str, model: object, program: list[str] = PROGRAM, **more: str) -> str:
    """Return the one line with which a model is refused, with nothing written."""
    code, out, err = asked(tmp_path, how, model, program, **more)
    assert (code, out) == (2, "")
    assert err.endswith("\n"), err
    assert err.count("\n") == 1, err
    assert err.startswith(f"aqaudit: models.judge.model: '{model}'")
    assert not (tmp_path / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"clips", "clips.jsonl", "dataset.toml", "study.toml"}
    return err


both = pytest.mark.parametrize("how", ["check", "run"])


@both
@pytest.mark.parametrize(
    ("name", "wrong", "remedy"),
    [
        ("nowhere", "is no folder of a Hugging Face model: it is not there", "name the folder that holds config.json"),
        ("empty", "it holds no config.json", "name the folder that holds config.json and the weights"),
        ("text", "no image-text-to-text class for type 'llama' (a text-only model sees nothing)", "name another"),
        ("foreign", "brings Python code of its own", "name a version of it that transformers opens without"),
        ("silent", "has no chat template", "add its chat_template.jinja to the folder"),
        ("vast", "needs about 9000.0 GB of memory for its weights on ", 'through a server (provider = "openai")'),
    ],
)
def test_a_model_that_cannot_be_asked_is_one_line_and_nothing_is_written(
    tmp_path: Path, models: Path, how: str, name: str, wrong: str, remedy: str
) -> None:
    line = refused(tmp_path, how, models / name)
    assert wrong in line
    assert remedy in line
    if name == "vast":
        assert " GB are free; name a smaller model" in line


@both
def test_a_model_of_the_hub_is_refused_by_the_sizes_its_index_declares(
    tmp_path: Path, models: Path, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    # What is fetched first, configuration and index; the weights themselves are not here, and are not waited for.
    cache = tmp_path_factory.mktemp("hub")
    commit = "0" * 40
    snapshot = cache / "models--someone--vast" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in (models / "whole").iterdir():
        if file.suffix != ".safetensors":
            (snapshot / file.name).write_bytes(file.read_bytes())
    index = {
        "metadata": {"total_size": 5 * 10**12},
        "weight_map": {"lm_head.weight": "model-00001-of-00001.safetensors"},
    }
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(commit)
    line = refused(tmp_path, how, "someone/vast", HF_HUB_CACHE=str(cache))
    assert "needs about 5000.0 GB of memory" in line


@both
def test_memory_that_runs_out_while_weights_are_loaded_is_one_line(tmp_path: Path, models: Path, how: str) -> None:
    folder = models / f"wide-{how}"
    copied(models, folder.name)
    config = json.loads((folder / "config.json").read_text())
    rows, columns = 47_000_000, config["text_config"]["hidden_size"]
    config["text_config"]["vocab_size"] = rows
    (folder / "config.json").write_text(json.dumps(config))
    enlarge(folder / "model.safetensors", "embed_tokens.weight", (rows, columns))
    line = refused(tmp_path, how, folder, BOUNDED)
    # A machine with less than 12 GB free says so before.
    assert (
        "memory ran out on cpu while its weights were loaded; end what else takes memory" in line
        or " GB are free" in line
    )


def enlarge(file: Path, ending: str, shape: tuple[int, int]) -> None:
    """Give one 32-bit tensor of a safetensors file another shape; its numbers are a hole that takes no room."""
    content = file.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    name = next(one for one in header if one.endswith(ending))
    size, end = shape[0] * shape[1] * 4, len(content) - 8 - length
    begin, stop = header[name]["data_offsets"]
    for one in header.values():
        if "data_offsets" in one and one["data_offsets"][0] >= stop:
            one["data_offsets"] = [at - (stop - begin) for at in one["data_offsets"]]
    header[name] |= {"shape": list(shape), "data_offsets": [end - (stop - begin), end - (stop - begin) + size]}
    written = json.dumps(header).encode()
    data = content[8 + length :]
    file.write_bytes(struct.pack("<Q", len(written)) + written + data[:begin] + data[stop:])
    os.truncate(file, 8 + len(written) + header[name]["data_offsets"][1])


@both
def test_memory_that_runs_out_at_the_first_request_is_a_failure_with_its_cause(
    tmp_path: Path, models: Path, how: str
) -> None:
    folder = copied(models, f"sharp-{how}")
    processor = json.loads((folder / "processor_config.json").read_text())
    processor["image_processor"]["size"] = {"height": 300_000, "width": 300_000}
    (folder / "processor_config.json").write_text(json.dumps(processor))
    code, out, err = asked(tmp_path, how, folder, BOUNDED)
    assert code == 1
    if how == "check":
        assert err.startswith("no answer: too_large: models.judge: not enough memory for this request: send fewer")
        assert err.count("\n") == 1
    else:
        assert "failed: too_large: 6" in out
        assert err == ""


def test_weights_are_counted_as_wide_as_they_are_loaded_and_only_those_that_are_loaded(tmp_path: Path) -> None:
    from aqaudit.models.hf_loading import weight_bytes

    spans = {"a": ("F16", 0, 600), "b": ("F32", 600, 1000), "c": ("BF16", 1000, 1100), "d": ("U8", 1100, 1200)}
    header = json.dumps(
        {n: {"dtype": t, "shape": [1], "data_offsets": [i, j]} for n, (t, i, j) in spans.items()}
    ).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(1200)
    (tmp_path / "model.safetensors").write_bytes(content)
    (tmp_path / "consolidated.safetensors").write_bytes(content)  # the same once more, for another library
    size = len(content)
    assert weight_bytes(tmp_path, widen=False, half=True) == size
    assert weight_bytes(tmp_path, widen=True, half=True) == size + 700


@pytest.mark.parametrize(
    ("groups", "limits", "free"),
    [
        ("0::/", {}, 8000 * 1024),
        ("0::/job", {"job/memory.max": "max"}, 8000 * 1024),
        # 3 MB may be used and are, 2 MB of them by copies of files.
        ("0::/job/step", {"job/memory.max": "3000000", "job/memory.current": "3000000"}, 2_000_000),
        (
            "4:memory:/of/the/host\n0::/",
            {"memory/memory.limit_in_bytes": "5000000", "memory/memory.usage_in_bytes": "4000000"},
            3_000_000,
        ),
    ],
)
def test_free_memory_is_what_the_system_and_the_control_groups_leave(
    tmp_path: Path, groups: str, limits: dict[str, str], free: int
) -> None:
    from aqaudit.models.hf_loading import free_memory

    written = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n", "proc/self/cgroup": f"{groups}\n"}
    for name, value in limits.items():
        written[f"sys/fs/cgroup/{name}"] = f"{value}\n"
        statistics = (
            "active_file 500000\ninactive_file 1500000\ntotal_active_file 500000\ntotal_inactive_file 1500000\n"
        )
        written[f"sys/fs/cgroup/{Path(name).parent}/memory.stat"] = statistics
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert free_memory(tmp_path) == free
