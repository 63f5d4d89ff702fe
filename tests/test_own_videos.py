"""The guide docs/own-videos.md, run as it stands: every command, every line of TOML, every line of output."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "own-videos.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^<!-- tested by tests/test_own_videos\.py -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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
    commands = lines = 0
    for kind, body in BLOCK.findall(GUIDE):
        if kind == "toml":
            for line in body.splitlines():
                lines += 1
                declared = tmp_path / "my-clips" / "dataset.toml"
                key = line.partition(" =")[0]
                text, replaced = re.subn(rf"^{key} = .*$", line, declared.read_text(), flags=re.MULTILINE)
                assert replaced == 1, key
                declared.write_text(text)
            continue
        for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
            said = run(shlex.split(command), tmp_path)
            assert not shown or plain(said) == plain(shown), command
            commands += command.startswith("aqaudit")
    report = tmp_path / "out" / "my-clips" / "report.html"
    assert "Simulated judge" in report.read_text(encoding="utf-8")
    assert (commands, lines) == (5, 4)
    assert "five commands and four lines of TOML" in GUIDE
    table = dict(re.findall(r"^(file),(.*)$", (tmp_path / "my-clips" / "labels.csv").read_text(), re.MULTILINE))
    assert f"file,{table['file']}" in GUIDE
