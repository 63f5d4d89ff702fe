"""Simulated judges whose flaw is known, and what each audit is to make of them.

An audit must call out its *targets* and may call out what is *entailed* (a flaw that shows there as well); about every
other judge it must keep quiet. It calls a judge out when a finding on one of its measures has the strongest verdict
that the measure can have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from aqaudit.audits.finding import Finding, Verdict

Expected = Literal["target", "entailed", "unrelated"]

#: Name -> settings of ``[models.NAME]`` besides the provider.
JUDGES: Mapping[str, Mapping[str, object]] = {
    "flawless-50": {"skill": 0.5, "planted": {"stable": True, "confidence": 1.0}},
    "flawless-70": {"skill": 0.7, "planted": {"stable": True, "confidence": 1.0}},
    "flawless-90": {"skill": 0.9, "planted": {"stable": True, "confidence": 1.0}},
    "noisy-honest": {"skill": 0.5, "planted": {"confidence": 1.0}},
    "lean": {"skill": 0.5, "planted": {"stable": True, "lean": 0.3}},
    "always-correct": {"skill": 0.0, "bias": 1.0},
    "shift-up": {"skill": 0.6, "planted": {"stable": True, "shift": 0.2}},
    "shift-down": {"skill": 0.6, "planted": {"stable": True, "shift": -0.2}},
    "wording-follower": {"skill": 0.6, "planted": {"shift": 1.0}},
    "mean-guesser": {"skill": 0.0, "planted": {"guess_sd": 0.03}},
    "position-bias": {"skill": 0.6, "planted": {"stable": True, "position": 0.2}},
    "takes-first": {"skill": 0.6, "planted": {"position": 0.5}},
    "large-gap-only": {"skill": 0.9, "planted": {"stable": True, "gap": 0.3}},
    "blind": {"skill": 0.0, "planted": {"stable": True}},
    "leaky": {"skill": 0.6, "planted": {"stable": True, "leak": 0.6}},
    "frozen-frame": {"skill": 0.6, "planted": {"stable": True, "motion": 0.0}},
    "over-confident": {"skill": 0.5, "planted": {"stable": True, "confidence": 3.0}},
    "unparsed": {"skill": 0.7, "planted": {"stable": True, "unparsed": 0.2}},
    "weak-group": {"skill": 0.8, "planted": {"stable": True, "weak_tag": "camera=side"}},
    "prestige-trace": {"skill": 0.7, "planted": {"stable": True, "trace": "prestige"}},
    "contradicted-trace": {"skill": 0.7, "planted": {"stable": True, "trace": "contradicted"}},
}

#: Audit -> (judges that it must call out, judges whose flaw shows there as well).
_EXPECTED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "chance": (("always-correct", "blind", "mean-guesser", "wording-follower", "unparsed"), ("takes-first",)),
    "correctness": (("lean", "always-correct"), ()),
    "framing": (("shift-up", "shift-down", "wording-follower"), ()),
    "collapse": (("mean-guesser",), ()),
    # Who sees nothing, or half of the pairs, is right in three of four at no gap.
    "order": (
        ("position-bias", "takes-first", "large-gap-only"),
        ("always-correct", "blind", "mean-guesser", "weak-group"),
    ),
    "vision": (("blind", "leaky", "frozen-frame"), ("always-correct", "mean-guesser", "wording-follower")),
    "traces": (("prestige-trace", "contradicted-trace"), ()),
    "calibration": (("over-confident",), ()),
    "consistency": (("noisy-honest",), ("takes-first", "mean-guesser")),
    "psychometric": ((), ()),
    "subgroups": (("weak-group",), ()),
}

#: Audit -> measure -> the verdict that calls a judge out.
_CALLS: Mapping[str, Mapping[str, Verdict]] = {
    "chance": {"balanced_accuracy": "fail", "spearman": "fail", "pair_accuracy": "fail", "coverage": "warn"},
    "correctness": {"lean": "fail"},
    "framing": {"framing_shift": "fail", "contradiction_excess": "fail", "option_position_bias": "fail"},
    "collapse": {"sd_ratio": "fail"},
    "order": {"position_bias": "fail", "gap_75": "warn"},
    "vision": {"vision_dependence": "fail", "temporal_evidence": "warn", "swapped_drop": "warn"},
    "traces": {"unfounded_rate": "fail", "contradicted_rate": "fail"},
    "calibration": {"ece": "fail"},
    "consistency": {"repeat_disagreement": "warn", "repeat_sd": "warn"},
    "psychometric": {},
    "subgroups": {"worst_group_gap": "warn"},
}


def expected(audit: str, judge: str) -> Expected:
    """Return what an audit is to make of a judge."""
    targets, entailed = _EXPECTED[audit]
    return "target" if judge in targets else "entailed" if judge in entailed else "unrelated"


def called_out(audit: str, findings: Iterable[Finding]) -> bool:
    """Return whether findings of an audit call the judge out."""
    calls = _CALLS[audit]
    return any(calls.get(finding.measure) == finding.verdict for finding in findings)
