"""Small studies made on the spot: pictures of one colour each, labels that need no picture."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

CRITERION = """
[[criterion]]
id = "{id}"
action = "squat"
positive = "Thing {id} is right."
negative = "Thing {id} is wrong."
"""


def folder(root: Path, *, performances: int = 10, criteria: int = 2, performers: int = 10, extra: str = "") -> Path:
    """Write a ``folder`` data set of pictures with ``verify`` labels and one score; return its folder."""
    (root / "clips").mkdir(parents=True, exist_ok=True)
    lines = []
    for i in range(performances):
        media = f"clips/p{i:05d}.png"
        Image.new("RGB", (8, 8), (i % 256, i // 256 % 256, i // 65536)).save(root / media)
        labels = {f"c{j}": (i + j) % 3 > 0 for j in range(criteria)}
        line = {"id": f"p{i:05d}", "media": media, "action": "squat", "performer": f"s{i % performers}"}
        lines.append(json.dumps({**line, "criteria": labels, "scores": {"execution": i % 10}}))
    (root / "clips.jsonl").write_text("\n".join(lines))
    declared = "".join(CRITERION.format(id=f"c{j}") for j in range(criteria))
    scale = '[[scale]]\nid = "execution"\nmin = 0\nmax = 10\nstep = 0.5\nunit = "points"\n'
    (root / "dataset.toml").write_text(f'name = "made"\n{extra}\n{declared}{scale}')
    return root


def study(root: Path, *, model: str, grid: str = "", tasks: str = '["verify"]', name: str = "made-study") -> Path:
    """Write a study over :func:`folder`; ``model`` is the body of ``[models.judge]``."""
    path = root / "study.toml"
    path.write_text(
        f'name = "{name}"\nseed = 3\n[[dataset]]\nreader = "folder"\nroot = "."\ntasks = {tasks}\n'
        f'[grid]\nmodel = ["judge"]\n{grid}\n[models.judge]\n{model}\n'
    )
    return path


SIMULATED = 'provider = "simulated"\nskill = 1.0'


def served(base_url: str, **settings: object) -> str:
    """Return the body of a model table for a loopback server."""
    lines = ['provider = "openai"', 'model = "test-model"', f'base_url = "{base_url}"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join(lines)
