"""What a root holds of EgoExo-Fitness, against what third parties counted in the real files."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from aqaudit.datasets import egoexo_files as files
from aqaudit.datasets.egoexo_judgements import NAMES, boundary_name, judgements, name_mismatches, share_of_faults
from aqaudit.datasets.reader import Count, Report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aqaudit.datasets.egoexo_judgements import Judged

#: Views of one record differ by up to about so many frames.
USUAL_CUT = 10

_EGO = ("ego_l", "ego_m", "ego_r")


def check(root: Path) -> Report:
    """Compare a root with the published data set; anything but one annotation file may be missing."""
    found = files.files_below(root)
    problems = list(found.problems)
    notes = [
        "a key point is what the strict majority of its annotators says; ties as the option says, satisfied by default",
        "people are numbered: their names are personal data",
        "egocentric views often do not show the part of the body that a guideline is about",
    ]
    counts: list[Count] = []
    records = files.records_of(found.paths[files.RECORDS]) if files.RECORDS in found.paths else {}
    boundaries = files.boundaries_of(found.paths[files.BOUNDARIES]) if files.BOUNDARIES in found.paths else {}
    actions: list[Judged] = []
    if files.JUDGEMENTS in found.paths:
        actions, wrong = judgements(found.paths[files.JUDGEMENTS])
        problems += wrong
    problems += [
        f"{name} is not below {root}{'; a run needs it' if name == files.JUDGEMENTS else ''}"
        for name in (files.JUDGEMENTS, files.RECORDS, files.BOUNDARIES)
        if name not in found.paths
    ]
    counts += _recorded(records, boundaries)
    if records:
        problems += [
            f"record {one} has boundaries, but is not in {files.RECORDS}" for one in boundaries.keys() - records
        ]
    if actions:
        counts += _judged(actions)
        problems += _names(actions)
        notes.append(f"{share_of_faults(actions):.1%} of the verdicts are 'False' (published: about 22%)")
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
        notes.append(f"no folders of frames below {root}: only annotations were checked")
    return Report(name="egoexo_fitness", root=root, counts=tuple(counts), problems=tuple(problems), notes=tuple(notes))


def _recorded(
    records: Mapping[str, files.Record], boundaries: Mapping[str, Sequence[tuple[int, int, int]]]
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


def _pairs(pairs: files.Pairs) -> list[Count]:
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


def _bank(bank: Mapping[str, Sequence[str]], pairs: files.Pairs | None) -> tuple[list[Count], list[str]]:
    names = {name for listed in bank.values() for name in listed}
    strange = sorted(name for name in names if boundary_name(name) is None)
    unknown = sorted(pairs.codes - bank.keys()) if pairs else ()
    problems = [f"label bank: {name!r} is none of the twelve actions" for name in strange]
    problems += [f"pairs name the sequence code {code!r}, which the label bank lacks" for code in unknown]
    counts = [
        Count(what="sequence codes in the label bank", found=len(bank)),
        Count(what="actions named in the label bank", found=len(names) - len(strange), published=12),
    ]
    return counts, problems


def _judged(actions: Sequence[Judged]) -> list[Count]:
    by_number = Counter(one.annotators for one in actions)
    names = Counter(boundary_name(one.name) or one.name for one in actions)
    return [
        Count(what="judged actions", found=len(actions), published=913),
        Count(what="annotations", found=sum(one.annotators for one in actions), published=1525),
        Count(what="actions with one annotator", found=by_number[1], published=340),
        Count(what="actions with two", found=by_number[2], published=548),
        Count(what="actions with three to five", found=sum(by_number[n] for n in (3, 4, 5)), published=25),
        Count(what="names of judged actions", found=len(names), published=12),
        Count(what="distinct key points", found=len({text for one in actions for text in one.votes}), published=102),
        Count(what="key points on which annotators tie", found=sum(one.ties for one in actions)),
        *(Count(what=f"judged: {name}", found=names[name], published=number) for name, number in NAMES.items()),
        Count(
            what="judged under a name that the boundaries do not have",
            found=sum(number for _, _, number in name_mismatches(actions)),
            published=171,
        ),
    ]


def _names(actions: Sequence[Judged]) -> list[str]:
    return [
        f"{number:,} actions are judged as {name!r}, "
        + (f"which is {known!r} among the boundaries; kept" if known else "which is none of the twelve actions; kept")
        for name, known, number in name_mismatches(actions)
    ]


def _views(actions: Sequence[Judged], records: Mapping[str, files.Record]) -> list[Count]:
    seen = Counter(view for one in actions if one.record in records for view in records[one.record].frames)
    ego = sum(seen[view] for view in _EGO)
    return [
        Count(what="judged actions times views", found=seen.total(), published=5371),
        Count(what="of them egocentric", found=ego, published=2685),
        Count(what="of them exocentric", found=seen.total() - ego, published=2686),
    ]


def _unfilmed(actions: Sequence[Judged], records: Mapping[str, files.Record]) -> list[str]:
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


def _windows(actions: Sequence[Judged], boundaries: Mapping[str, Sequence[tuple[int, int, int]]]) -> list[Count]:
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
