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

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aqaudit.core.records import BadInput, Dataset, Performance, Scale
from aqaudit.datasets.layout import to_unpack
from aqaudit.datasets.reader import (
    Count,
    Reader,
    Report,
    check_split,
    drawn_split,
    of_split,
    option_of,
    options_of,
    partial_or_refused,
)
from aqaudit.datasets.readers import egoexo_files as files

NAME = "egoexo_fitness"
LICENCE = "signed agreement: research only, no commercial use, no distribution in any way"
CITATION = "Li et al., EgoExo-Fitness: Towards Egocentric and Exocentric Full-Body Action Understanding, ECCV 2024"
QUALITY = Scale(id="quality", min=1, max=5, unit="points")
FPS = 30.0
#: By how many degrees, counter-clockwise, frames of a view must be turned to stand upright.
TURNED = {"exo_l": 90, "exo_r": 270}
#: Views of one record differ by up to about so many frames.
USUAL_CUT = 10


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
        Folder with the annotations in ``raw_annotations`` (or in itself) and the frames
        ``frames_open/<record>/<view>/frame_0000000001.jpg``.
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
    views = options_of(NAME, "view", view, files.VIEWS)
    rule: files.Ties = files.TIES[files.TIES.index(option_of(NAME, "ties", ties, files.TIES))]
    option_of(NAME, "division", division, ("person", "pairs"))
    found = files.files_in_root(root)
    if files.JUDGEMENTS not in found.paths:
        raise BadInput(
            f"{root} has no judgements: {files.JUDGEMENTS} is not in {files.FOLDERS[0]}{to_unpack(root)}; it comes with"
            " the licensed data set, not with the public repository"
        )
    actions, problems = files.judgements(found.paths[files.JUDGEMENTS])
    records = files.records_of(found.paths[files.RECORDS]) if files.RECORDS in found.paths else {}
    pairs = files.pairs_of(found.paths)
    if division == "pairs" and pairs is None:
        raise BadInput(
            f"{root} lacks {' and '.join(files.PAIRS.values())}, which division = 'pairs' needs; put them"
            f" into {files.FOLDERS[1]}; they are in the repository iSEE-Laboratory/EgoExo-Fitness"
        )
    if not records:
        problems.append(f"{files.RECORDS} is not in {root}: people cannot be told apart, each record counts as one")
    placed = _FrameWindows(found, records, views)
    performances: list[Performance] = []
    for action in actions:
        known = records.get(action.record)
        person, name = (known.person, known.drawn) if known else (f"record {action.record}", action.record)
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
            f" {placed.missing[0]}; put them there as {files.FRAMES}/<record>/<view>/frame_0000000001.jpg"
            f"{to_unpack(root, root / files.FRAMES)}; {files.LICENSED}"
        ),
        placed.missing,
    )
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        show_frames=False,
        criteria=files.criteria_of(actions),
        scales=(QUALITY,),
        performances=of_split(performances, split, str(root)),
        problems=(*problems, *placed.problems(), *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; anything but one annotation file may be missing."""
    found = files.files_in_root(root)
    problems: list[str] = []
    notes = [
        "a key point is what the strict majority of its annotators says; ties as the option says, satisfied by default",
        "people are numbered: their names are personal data",
        "egocentric views often do not show the part of the body that a guideline is about",
    ]
    counts: list[Count] = []
    records = files.records_of(found.paths[files.RECORDS]) if files.RECORDS in found.paths else {}
    boundaries = files.boundaries_of(found.paths[files.BOUNDARIES]) if files.BOUNDARIES in found.paths else {}
    actions: list[files.JudgedAction] = []
    if files.JUDGEMENTS in found.paths:
        actions, wrong = files.judgements(found.paths[files.JUDGEMENTS])
        problems += wrong
    problems += [
        f"{name} is not in {root}{'; a run needs it' if name == files.JUDGEMENTS else ''}"
        for name in (files.JUDGEMENTS, files.RECORDS, files.BOUNDARIES)
        if name not in found.paths
    ]
    counts += _recorded(records, boundaries)
    if records:
        problems += [
            f"record {one} has boundaries, but is not in {files.RECORDS}" for one in sorted(boundaries.keys() - records)
        ]
    if actions:
        counts += _judged(actions)
        problems += _names(actions)
        notes.append(f"{files.share_of_faults(actions):.1%} of the verdicts are 'False' (published: about 22%)")
    if actions and records:
        counts += _views(actions, records)
        problems += _unfilmed(actions, records)
        problems += [f"{one.key}: its record is not in {files.RECORDS}" for one in actions if one.record not in records]
    if actions and boundaries:
        counts += _windows(actions, boundaries)
    if pairs := files.pairs_of(found.paths):
        counts += _pairs(pairs)
        problems += pairs.problems
        people = [{records[one].person for one in held if one in records} for held in pairs.records.values()]
        if shared := set.intersection(*people):
            notes.append(f"{len(shared)} people are in the pairs of both train and test, in different records")
    if files.LABEL_BANK in found.paths:
        more, wrong = _bank(files.label_bank(found.paths[files.LABEL_BANK]), pairs)
        counts += more
        problems += wrong
    held = sum((one.record, view) in found.frames for one in actions for view in files.VIEWS)
    counts.append(Count(what="judged actions times views with a folder of frames here", found=held))
    if not found.frames:
        notes.append(f"no folders of frames in {root / files.FRAMES}: only annotations were checked")
    return Report(name=NAME, root=root, counts=tuple(counts), problems=tuple(problems), notes=tuple(notes))


def _recorded(
    records: Mapping[str, files.FilmedRecord], boundaries: Mapping[str, Sequence[tuple[int, int, int]]]
) -> list[Count]:
    counts = []
    if records:
        counts += [
            Count(what="records", found=len(records), published=76),
            Count(what="people", found=len({one.person for one in records.values()})),
        ]
    if boundaries:
        size = sum(map(len, boundaries.values()))
        counts.append(Count(what="actions with boundaries", found=size, published=1086))
    if records and boundaries:
        views = sum(len(rows) * len(records[name].frames) for name, rows in boundaries.items() if name in records)
        counts.append(Count(what="actions times views", found=views, published=6131))
    return counts


def _pairs(pairs: files.PairLists) -> list[Count]:
    both = len(pairs.records["train"] & pairs.records["test"])
    return [
        *(
            Count(what=f"{split} pairs", found=pairs.lines[split], published=number)
            for split, number in (("train", 3895), ("test", 12449))
        ),
        *(
            Count(what=f"records in {split} pairs", found=len(pairs.records[split]), published=number)
            for split, number in (("train", 28), ("test", 36))
        ),
        Count(what="records in the pairs of both", found=both, published=0),
    ]


def _bank(bank: Mapping[str, Sequence[str]], pairs: files.PairLists | None) -> tuple[list[Count], list[str]]:
    names = {name for listed in bank.values() for name in listed}
    strange = sorted(name for name in names if files.boundary_name(name) is None)
    unknown = sorted(pairs.codes - bank.keys()) if pairs else ()
    problems = [f"label bank: {name!r} is none of the twelve actions" for name in strange]
    problems += [f"pairs name the sequence code {code!r}, which the label bank lacks" for code in unknown]
    counts = [
        Count(what="sequence codes in the label bank", found=len(bank)),
        Count(what="actions named in the label bank", found=len(names) - len(strange), published=12),
    ]
    return counts, problems


def _judged(actions: Sequence[files.JudgedAction]) -> list[Count]:
    by_number = Counter(one.annotators for one in actions)
    names = Counter(files.boundary_name(one.name) or one.name for one in actions)
    return [
        Count(what="judged actions", found=len(actions), published=913),
        Count(what="annotations", found=sum(one.annotators for one in actions), published=1525),
        Count(what="actions with one annotator", found=by_number[1], published=340),
        Count(what="actions with two", found=by_number[2], published=548),
        Count(what="actions with three to five", found=sum(by_number[n] for n in (3, 4, 5)), published=25),
        Count(what="names of judged actions", found=len(names), published=12),
        Count(what="distinct key points", found=len({text for one in actions for text in one.votes}), published=102),
        Count(what="key points on which annotators tie", found=sum(one.ties for one in actions)),
        *(Count(what=f"judged: {name}", found=names[name], published=number) for name, number in files.NAMES.items()),
        Count(
            what="judged under a name that the boundaries do not have",
            found=sum(number for _, _, number in files.name_mismatches(actions)),
            published=171,
        ),
    ]


def _names(actions: Sequence[files.JudgedAction]) -> list[str]:
    return [
        f"{number:,} actions are judged as {name!r}, "
        + (f"which is {known!r} among the boundaries; kept" if known else "which is none of the twelve actions; kept")
        for name, known, number in files.name_mismatches(actions)
    ]


def _views(actions: Sequence[files.JudgedAction], records: Mapping[str, files.FilmedRecord]) -> list[Count]:
    seen = Counter(view for one in actions if one.record in records for view in records[one.record].frames)
    ego = sum(seen[view] for view in files.VIEWS if view.startswith("ego"))
    return [
        Count(what="judged actions times views", found=seen.total(), published=5371),
        Count(what="of them egocentric", found=ego, published=2685),
        Count(what="of them exocentric", found=seen.total() - ego, published=2686),
    ]


def _unfilmed(actions: Sequence[files.JudgedAction], records: Mapping[str, files.FilmedRecord]) -> list[str]:
    """Return a sentence for each view that a record lacks, and for each window that ends well after its view."""
    judged = Counter(one.record for one in actions)
    found = [
        f"record {record} was not filmed by {view}: {judged[record]} judged actions"
        for record, known in sorted(records.items())
        for view in files.VIEWS
        if view not in known.frames and judged[record]
    ]
    for one in actions:
        for view, frames in records[one.record].frames.items() if one.record in records else ():
            if one.end - frames > USUAL_CUT:
                found.append(f"{one.key}: ends at frame {one.end}, but {view} has {frames}")
    return found


def _windows(
    actions: Sequence[files.JudgedAction], boundaries: Mapping[str, Sequence[tuple[int, int, int]]]
) -> list[Count]:
    """Compare windows with the boundaries they may have come from: the number in the key counts them from 0."""
    same: dict[int, int] = defaultdict(int)
    for one in actions:
        rows = boundaries.get(one.record, ())
        for step in (0, -1):
            place = one.number + step
            same[step] += 0 <= place < len(rows) and rows[place][1:] == (one.start, one.end)
    return [
        Count(what="windows that equal the boundary of their number", found=same[0], published=832),
        Count(what="windows that equal the boundary before it", found=same[-1], published=0),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameWindow:
    """Where a view shows an action: frames ``first`` to ``last`` of a folder, both shown."""

    folder: Path
    first: int
    last: int


class _FrameWindows:
    """Finds where views show actions, and keeps what is missing, cut or odd about the frames."""

    def __init__(
        self, found: files.EgoExoFiles, records: Mapping[str, files.FilmedRecord], views: Sequence[str]
    ) -> None:
        self._found = found
        self._records = records
        self._views = views
        self._held: dict[Path, tuple[int, int] | None] = {}
        self._unfilmed: Counter[tuple[str, str]] = Counter()
        self._cut: list[str] = []
        self._slightly = 0
        self.missing: list[str] = []

    def windows(self, action: files.JudgedAction) -> list[tuple[str, FrameWindow]]:
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

    def _window(self, action: files.JudgedAction, view: str, folder: Path, stated: int | None) -> FrameWindow | None:
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
        return FrameWindow(folder=folder, first=first, last=last)

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
