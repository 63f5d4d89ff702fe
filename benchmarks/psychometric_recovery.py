"""Do the intervals of psychometric curves hold what they should? Simulated judges with known curves, fitted.

    python benchmarks/psychometric_recovery.py [runs]

The design is the one a verdict asks for: 8 severities, 40 answers each, 30 performers, whose own thresholds differ with
an intraclass correlation of 0, .05 or .1. Every run also fits the same judge under another wording that moves its
threshold by a known shift. Printed: the share of runs whose 95 % interval holds the planted value (wanted: at least
.925 of 400), and the mean error of the estimate.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy import special

from aqaudit.measures import psychometric as curves

LEVELS, TRIALS, PERFORMERS = 8, 40, 30
SEVERITIES = np.linspace(0, 28, LEVELS)
SHIFT = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """The curve of a simulated judge: threshold, width, guess and lapse."""

    threshold: float
    width: float
    guess: float
    lapse: float


JUDGES = (
    Planted(threshold=12, width=16, guess=0.10, lapse=0.05),
    Planted(threshold=10, width=12, guess=0.30, lapse=0.10),
    Planted(threshold=14, width=24, guess=0.05, lapse=0.02),
    Planted(threshold=16, width=10, guess=0.02, lapse=0.20),
)


def simulated(judge: Planted, icc: float, rng: np.random.Generator) -> curves.Trials:
    """Answers of a judge on the design; each performer moves the log-odds of being seen by a normal draw."""
    severity = np.repeat(SEVERITIES, TRIALS)
    performer = rng.permutation(np.arange(severity.size) % PERFORMERS)
    spread = np.sqrt(icc / (1 - icc)) * np.pi / np.sqrt(3)
    moved = rng.normal(0, spread, PERFORMERS)[performer] if icc else 0.0
    rise = special.expit(curves.SPREAD * (severity - judge.threshold) / judge.width + moved)
    said = rng.random(severity.size) < judge.guess + (1 - judge.guess - judge.lapse) * rise
    return curves.Trials(
        cluster=performer, severity=severity, total=np.ones(severity.size), said=said.astype(np.float64)
    )


def recovered(judge: Planted, icc: float, seed: int) -> dict[str, tuple[bool, float]]:
    """Fit one run: for every quantity, whether its interval holds the planted value, and its error."""
    rng = np.random.default_rng([seed, round(1000 * icc)])
    moved = Planted(threshold=judge.threshold + SHIFT, width=judge.width, guess=judge.guess, lapse=judge.lapse)
    plain, other = curves.fit(simulated(judge, icc, rng)), curves.fit(simulated(moved, icc, rng))
    assert plain is not None
    assert other is not None
    truth = {
        "threshold": (plain.threshold, judge.threshold),
        "threshold_75": (plain.threshold_75, judge.threshold + judge.width * np.log(3) / curves.SPREAD),
        "slope": (plain.slope, curves.SPREAD / 4 / judge.width),
        "guess": (plain.guess, judge.guess),
        "lapse": (plain.lapse, judge.lapse),
        "shift": (curves.difference(plain, other), SHIFT),
    }
    return {name: (found.low <= value <= found.high, found.value - value) for name, (found, value) in truth.items()}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print(f"{runs} runs a line; share of 95 % intervals that hold the planted value (mean error)")
    names = ("threshold", "threshold_75", "slope", "guess", "lapse", "shift")
    print(f"{'judge (m, w, g, l)':22} {'icc':>4} " + " ".join(f"{name:>16}" for name in names))
    worst = 1.0
    for judge in JUDGES:
        for icc in (0.0, 0.05, 0.10):
            found = [recovered(judge, icc, seed) for seed in range(runs)]
            cells = []
            for name in names:
                share = float(np.mean([one[name][0] for one in found]))
                worst = min(worst, share)
                cells.append(f"{share:8.3f} ({np.mean([one[name][1] for one in found]):+.2f})")
            label = f"{judge.threshold:g}, {judge.width:g}, {judge.guess:g}, {judge.lapse:g}"
            print(f"{label:22} {icc:4.2f} " + " ".join(f"{cell:>16}" for cell in cells), flush=True)
    print(f"lowest share {worst:.3f}; wanted at least 0.925")


if __name__ == "__main__":
    main()
