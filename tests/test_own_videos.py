"""The guide docs/own-videos.md, run as it stands: every command, every line of TOML, every line of output."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "own-videos.md").read_text(encoding="utf-8")
MARK = r"^<!-- tested by tests/test_own_videos\.py(?:: (\S+))? -->\n"
BLOCK = re.compile(MARK + r"```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(words: list[str], folder: Path) -> str:
    if words[0] == "python":
        command = [sys.executable, str(ROOT / words[1]), *words[2:]]
    else:
        assert words[0] == "aqaudit"
        command = [sys.executable, "-c", "from aqaudit.cli import main; main()", *words[1:]]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def plain(text: str) -> str:
    """Output without the estimate of tokens, which moves with every word of a prompt."""
    return re.sub(r"^( +tokens) .*$", r"\1", text, flags=re.MULTILINE)


def test_from_a_folder_of_clips_to_a_report_as_the_guide_says(tmp_path: Path) -> None:
    commands, lines = Counter[str](), Counter[str]()
    for edited, kind, body in BLOCK.findall(GUIDE):
        if kind == "toml":
            for line in body.splitlines():
                lines[edited] += 1
                declared = tmp_path / edited
                key = line.partition(" =")[0]
                text, replaced = re.subn(rf"^{key} = .*$", line, declared.read_text(), flags=re.MULTILINE)
                assert replaced == 1, key
                declared.write_text(text)
            continue
        for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
            said = run(shlex.split(command), tmp_path)
            assert not shown or plain(said) == plain(shown), command
            commands["own-clips" if "own-clips" in command else "my-clips"] += command.startswith("aqaudit")
    report = tmp_path / "out" / "probe" / "report.html"
    assert "Demonstration model" in report.read_text(encoding="utf-8")
    assert (commands["my-clips"], lines["my-clips/study.toml"]) == (5, 2)
    assert "five commands and two lines of TOML" in GUIDE
    assert lines["own-clips/dataset.toml"] == 4
    assert "with four lines more" in GUIDE
    assert "allow_upload = false" in (tmp_path / "own-clips" / "dataset.toml").read_text(encoding="utf-8")
    assert "allow_upload = true" in (tmp_path / "my-clips" / "dataset.toml").read_text(encoding="utf-8")
    table = dict(re.findall(r"^(file),(.*)$", (tmp_path / "own-clips" / "labels.csv").read_text(), re.MULTILINE))
    assert f"file,{table['file']}" in GUIDE
