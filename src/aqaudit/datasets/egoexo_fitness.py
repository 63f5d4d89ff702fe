"""Reader ``egoexo_fitness``: guidelines of 913 fitness actions, filmed by up to six cameras (Li et al., ECCV 2024).

What is asked: whether a guideline ("key point") of the action is followed (``verify``), and the quality on a scale from
1 to 5 (``score``). Several annotators judged most actions. A key point is what the strict majority says; where as many
say "True" as "False" the option ``ties`` decides: ``satisfied`` (a fault needs a strict majority; the default),
``fault`` or ``left_out``. The quality is the mean of the annotators'.

An action is the window of its own judgement (``st_ed_frame``), cut to the frames of the view: views of one record
differ by some frames. Names of actions are those of the judgements; the file of boundaries calls two of them otherwise,
so nothing is matched by name. Frames of the side cameras are stored turned: ``exo_l`` is shown turned by 90, ``exo_r``
by 270 degrees counter-clockwise.

The cluster is the person, recorded on several dates; people are numbered, their names never shown. No division that
parts people is published: people are divided here by their name, a third of them for training (``division =
"person"``), or records as the published lists of pairs have them (``"pairs"``; records in no list are in no split).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.datasets import egoexo_files as files
from aqaudit.datasets.egoexo_check import USUAL_CUT, check
from aqaudit.datasets.egoexo_files import VIEWS
from aqaudit.datasets.egoexo_judgements import TIES, Judged, Ties, criteria_of, judgements
from aqaudit.datasets.places import to_unpack
from aqaudit.datasets.reader import (
    Reader,
    check_split,
    drawn_split,
    of_split,
    option_of,
    options_of,
    partial_or_refused,
)
from aqaudit.records import BadInput, Dataset, Performance, Scale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAME = "egoexo_fitness"
LICENCE = "signed agreement: research only, no commercial use, no distribution in any way"
CITATION = "Li et al., EgoExo-Fitness: Towards Egocentric and Exocentric Full-Body Action Understanding, ECCV 2024"
QUALITY = Scale(id="quality", min=1, max=5, unit="points")
FPS = 30.0
#: By how many degrees, counter-clockwise, frames of a view must be turned to stand upright.
TURNED = {"exo_l": 90, "exo_r": 270}


def read(
    root: Path,
    *,
    split: str | None = None,
    view: str | Sequence[str] = "exo_m",
    ties: str = "satisfied",
    division: str = "person",
    partial: bool = False,
) -> Dataset:
    """Read the judged actions as seen from one view or several.

    Parameters
    ----------
    root
        Folder with the annotations and, below it, ``<record>/<view>/frame_0000000001.jpg``.
    split
        ``train``, ``test`` or both, by ``division``.
    view
        One of the six views, a list of them, or ``"all"``. An action is a performance once for each view.
    ties
        What a key point is that as many annotators call satisfied as not: ``satisfied``, ``fault`` or ``left_out``.
    division
        ``person`` (ours) or ``pairs`` (the published lists of pairs).
    partial
        True reads the actions whose frames are here and lists the others.

    Raises
    ------
    BadInput
        Where judgements are missing or malformed, or frames are missing and ``partial`` is not set.
    """
    check_split(root, split)
    views = options_of(NAME, "view", view, VIEWS)
    rule: Ties = TIES[TIES.index(option_of(NAME, "ties", ties, TIES))]
    option_of(NAME, "division", division, ("person", "pairs"))
    found = files.files_below(root)
    if files.JUDGEMENTS not in found.paths:
        raise BadInput(
            f"{root} has no judgements: looked below it for {files.JUDGEMENTS}{to_unpack(root)}; it comes with the"
            " licensed data set, not with the public repository"
        )
    actions, problems = judgements(found.paths[files.JUDGEMENTS])
    records = files.records_of(found.paths[files.RECORDS]) if files.RECORDS in found.paths else {}
    pairs = files.pairs_of(found.paths)
    if division == "pairs" and pairs is None:
        raise BadInput(
            f"{root} lacks {' and '.join(files.PAIRS.values())}, which division = 'pairs' needs; they are in the"
            " repository iSEE-Laboratory/EgoExo-Fitness"
        )
    if not records:
        problems.append(f"{files.RECORDS} is not below {root}: people cannot be told apart, each record counts as one")
    placed = _Placed(found, records, views)
    performances: list[Performance] = []
    for action in actions:
        person, name = _person(records, action.record)
        where = pairs.split_of(action.record) if division == "pairs" and pairs else drawn_split(NAME, name)
        if split is not None and where != split:
            continue
        performances += [
            Performance(
                id=f"{action.key}_{camera}",
                media=window.folder,
                action=action.name,
                performer=person,
                video=action.record,
                split=where,
                fps=FPS,
                first_frame=window.first,
                last_frame=window.last,
                criteria=action.criteria(rule),
                scores={QUALITY.id: sum(action.scores) / len(action.scores)} if action.scores else {},
                tags={"view": camera, "annotators": str(action.annotators)},
                rotate=TURNED.get(camera, 0),
            )
            for camera, window in placed.windows(action)
        ]
    gone = partial_or_refused(
        partial,
        NAME,
        lambda: (
            f"{root} lacks frames of {len(placed.missing):,} actions and views, {len(performances):,} are here:"
            f" {placed.missing[0]}; looked below it for <record>/<view>/frame_0000000001.jpg{to_unpack(root)};"
            " frames come with the licensed data set (github.com/iSEE-Laboratory/EgoExo-Fitness)"
        ),
        placed.missing,
    )
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        show_frames=False,
        criteria=criteria_of(actions),
        scales=(QUALITY,),
        performances=of_split(performances, split, str(root)),
        problems=(*problems, *found.problems, *placed.problems(), *gone),
    )


def _person(records: Mapping[str, files.Record], record: str) -> tuple[str, str]:
    """Return what a person is called, and what the division draws from."""
    known = records.get(record)
    return (known.person, known.drawn) if known else (f"record {record}", record)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    folder: Path
    first: int
    last: int


class _Placed:
    """Finds the frames of actions, and keeps what is missing, cut or odd about them."""

    def __init__(self, found: files.Files, records: Mapping[str, files.Record], views: Sequence[str]) -> None:
        self._found = found
        self._records = records
        self._views = views
        self._held: dict[Path, tuple[int, int] | None] = {}
        self._unfilmed: Counter[tuple[str, str]] = Counter()
        self._cut: list[str] = []
        self._slightly = 0
        self.missing: list[str] = []

    def windows(self, action: Judged) -> list[tuple[str, _Window]]:
        """Return where each wanted view shows an action."""
        windows = []
        record = self._records.get(action.record)
        for view in self._views:
            folder = self._found.frames.get((action.record, view))
            if record is not None and view not in record.frames:
                self._unfilmed[action.record, view] += 1
            elif folder is None:
                self.missing.append(f"{action.key}: no folder {action.record}/{view}")
            else:
                window = self._window(action, view, folder, record.frames[view] if record else None)
                if window is not None:
                    windows.append((view, window))
        return windows

    def _window(self, action: Judged, view: str, folder: Path, stated: int | None) -> _Window | None:
        first, last = max(1, action.start), action.end if stated is None else min(action.end, stated)
        if last < first or not files.has_frames(folder, first, last):
            if folder not in self._held:
                self._held[folder] = files.frame_range(folder)
            held = self._held[folder]
            if held is None:
                self.missing.append(f"{action.key}: {folder} holds no frames")
                return None
            first, last = max(first, held[0]), min(action.end, held[1])
        lost = (action.end - last) + (first - max(1, action.start))
        if last <= first:
            self._cut.append(
                f"{action.key}: frames {action.start} to {action.end} are not in {view}, which ends before; not asked"
            )
            return None
        if lost > USUAL_CUT:
            asked = f"frames {action.start} to {action.end}"
            self._cut.append(f"{action.key}: {view} has only {first} to {last} of {asked}; asked about these")
        elif lost:
            self._slightly += 1
        return _Window(folder=folder, first=first, last=last)

    def problems(self) -> list[str]:
        """Return a sentence for each view that a record lacks and each window that was cut by much, and one more."""
        said = [
            f"record {record} was not filmed by {view}: {number} of its actions are not asked about in it"
            for (record, view), number in sorted(self._unfilmed.items())
        ]
        said += self._cut
        if self._slightly:
            said.append(f"{self._slightly:,} windows were cut by up to {USUAL_CUT} frames to the length of their view")
        return said


READER = Reader(
    name=NAME,
    what="fitness exercises from six views: guidelines followed or not",
    licence=LICENCE,
    kinds=("verify", "score", "prefer"),
    read=read,
    check=check,
    performances=913,
    options=("view", "ties", "division", "partial"),
)
