"""The probe: rendered minimal pairs with exact truth. Without a root, the clips that come with AQAudit."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from aqaudit.core.records import BadInput, Dataset, Performance
from aqaudit.datasets.declarations import FILE as DECLARATIONS_FILE
from aqaudit.datasets.reader import Count, Reader, Report, option_of
from aqaudit.datasets.readers import folder

#: Clips that come with AQAudit.
BUNDLED_CLIPS = 114
#: Which labels are asked about.
LABELS = ("all", "varied")


def bundled() -> Path:
    """Return the folder of the clips that come with AQAudit."""
    return Path(str(files("aqaudit.probe").joinpath("bundled")))


def read(root: Path, *, split: str | None = None, labels: str = "all") -> Dataset:
    """Read clips made by ``aqaudit probe make``, or the bundled ones.

    Parameters
    ----------
    labels
        ``all``, or ``varied``: of criteria and errors only those that a clip's family varies (their severity is on
        record), of which half the clips are free. The others are things that are right in the whole family.

    Raises
    ------
    BadInput
        Where the folder is not as the contract of a folder data set says, or for another value of ``labels``.
    """
    found = folder.read(root, split=split)
    if option_of("probe", "labels", labels, LABELS) == "all":
        return found
    return replace(found, performances=tuple(_varied(one) for one in found.performances))


def _varied(performance: Performance) -> Performance:
    return replace(
        performance,
        criteria={name: met for name, met in performance.criteria.items() if name in performance.severity},
        errors={name: spans for name, spans in performance.errors.items() if name in performance.severity},
    )


def check(root: Path) -> Report:
    """Say what a folder of probe clips holds; the bundled ones against what was published."""
    found = folder.check(root)
    poses = sum(1 for _ in root.glob("poses/*.npz"))
    published = BUNDLED_CLIPS if root == bundled() else None
    counts = tuple(replace(c, published=published) if c.what == "media found" else c for c in found.counts)
    return replace(found, counts=(*counts, Count(what="pose files", found=poses, published=published)))


def export(target: Path) -> list[Path]:
    """Copy the bundled clips into a folder as a data set of one's own; returns its files of text.

    Raises
    ------
    BadInput
        Where something of that name is there already, or the folder cannot be written.
    """
    source = bundled()
    for item in source.iterdir():
        if (target / item.name).exists():
            raise BadInput(f"{target / item.name} is there already; choose a folder without it")
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise BadInput(f"{target} cannot be written to: {error}") from None
    return [target / DECLARATIONS_FILE, target / folder.CLIPS_FILE]


READER = Reader(
    name="probe",
    what="rendered minimal pairs with exact truth; without a root, the clips that come with AQAudit",
    licence="Apache-2.0; bodies made with Anny (Apache-2.0) from MakeHuman assets (CC0)",
    kinds=("verify", "detect", "choose", "score", "prefer"),
    read=read,
    check=check,
    performances=BUNDLED_CLIPS,
    bundled=bundled,
    options=("labels",),
)
