"""What ``aqaudit run`` prints: the estimate of a dry run, and what became of a run. Imported when a run begins."""

from __future__ import annotations

from collections.abc import Iterator

from aqaudit.engine.estimate import estimate, fits, lines
from aqaudit.engine.preparation import Prepared
from aqaudit.engine.run import Outcome
from aqaudit.engine.traces import entry_of
from aqaudit.study.study import Study

_WHERE = {True: "leaves this machine", False: "stays on this machine"}


def left_out(study: Study) -> Iterator[str]:
    """Yield a line for each data set of a bundled study that no path was given for."""
    if study.used:
        for name in study.without_root:
            yield f"left out: {name} has no root; give --root {name}=PATH"


def estimated(prepared: Prepared) -> Iterator[str]:
    """Yield what would be asked, sent and paid."""
    yield from left_out(prepared.study)
    for plan in estimate(prepared):
        equal = f" ({plan.duplicates} equal ones left out)" if plan.duplicates else ""
        yield f"model {plan.model} -> {plan.endpoint} ({_WHERE[plan.leaves_machine]})"
        yield f"  requests      {plan.requests}{equal}"
        yield f"  performances  {plan.performances}, about {plan.frames_per_clip:.1f} frames each"
        yield f"  tokens        about {plan.input_tokens:,} in, {plan.output_tokens:,} out"
        yield f"  money         {'unknown' if plan.usd is None else f'about {plan.usd:.2f} USD'}"
    yield from lines(fits(prepared))
    for planned in prepared.plan.datasets:
        name, problems = planned.dataset.name, planned.dataset.problems
        for problem in problems[:3]:
            yield f"note: {name}: {problem}"
        if len(problems) > 3:
            yield f"note: {name}: {len(problems) - 3} more; see aqaudit data check"
    if (tests := prepared.study.spec.trace_tests) is not None:
        yield f"trace tests: up to {tests.answers * (len(tests.early) + tests.mistakes):,} further requests a model"
    if (judge := prepared.options.trace_judge) is not None:
        endpoint, remote = entry_of(prepared.study, judge).destination()
        sent = "the reasoning text of every answer that has one, no media"
        yield f"trace judge {judge} -> {endpoint} ({_WHERE[remote]}): {sent}"
    yield "tokens and money are estimates; nothing was asked"


def done(prepared: Prepared, outcome: Outcome, resume: str) -> Iterator[str]:
    """Yield what became of a run; ``resume`` is the command that goes on where it is not complete."""
    for dataset in (planned.dataset for planned in prepared.plan.datasets if planned.dataset.problems):
        yield f"note: {dataset.name}: {len(dataset.problems):,} records with problems; aqaudit data check lists them"
    out, tally = prepared.options.out, outcome.tally
    failed = sum(tally.failed.values())
    yield f"{out}: {tally.answered} answered now, {tally.found} found, {failed} failed, {tally.left} left"
    if tally.answered and tally.unreadable:
        yield f"  {tally.unreadable} answers could not be read as an answer; they count as wrong"
    if tally.relabelled:
        yield f"  {tally.relabelled} stored answers took over changed labels"
    for cause, n in tally.failed.most_common():
        yield f"  failed: {cause}: {n}"
    for follow_up in outcome.follow_ups:
        yield f"  {follow_up.line()}"
        for cause, n in follow_up.failed.most_common():
            yield f"    failed: {cause}: {n}"
    for model, reason in outcome.given_up.items():
        yield f"  model {model} was given up after {reason}"
    for note in outcome.notes[:3]:
        yield f"  note: {note}"
    if len(outcome.notes) > 3:
        yield f"  note: {len(outcome.notes) - 3} more performances without kinematics"
    if outcome.stopped:
        yield f"  stopped: {outcome.stopped}"
    if not outcome.complete:
        yield f"  to go on: {resume}"
