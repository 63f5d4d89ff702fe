"""Size of a fresh installation of the core, package by package, and the CPU time of ``aqaudit --help``.

``python benchmarks/install_size.py`` makes a virtual environment, installs this checkout without extras and prints the
table. Wanted: no torch, no OpenCV, at most 400 MB; ``--help`` under 0.3 s of CPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
UNWANTED = ("torch", "cv2", "torchvision", "tensorflow")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        python = Path(scratch) / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(REPOSITORY)]
        subprocess.run(install, check=True)
        site = next((python.parent.parent / "lib").glob("python3*/site-packages"))
        sizes: Counter[str] = Counter()
        compiled = 0
        for file in site.rglob("*"):
            if not file.is_file() or file.is_symlink():
                continue
            if "__pycache__" in file.parts:
                compiled += file.stat().st_size
            else:
                sizes[file.relative_to(site).parts[0].removesuffix(".libs")] += file.stat().st_size
        for name in ("pip", "setuptools", "pkg_resources"):
            sizes.pop(name, None)
        print("megabytes (10^6 bytes) without pip and setuptools, largest first")
        for name, size in sizes.most_common(12):
            print(f"  {name:<24} {size / 1e6:6.1f}")
        print(f"  {'everything':<24} {sum(sizes.values()) / 1e6:6.1f}  (wanted: at most 400)")
        print(f"  {'compiled by pip on top':<24} {compiled / 1e6:6.1f}")
        print(f"  unwanted: {', '.join(name for name in UNWANTED if name in sizes) or 'none'}")
        times = []
        for _ in range(5):
            before = os.times()
            subprocess.run([str(python.with_name("aqaudit")), "--help"], check=True, stdout=subprocess.DEVNULL)
            after = os.times()
            times.append(after.children_user + after.children_system - before.children_user - before.children_system)
        print(f"aqaudit --help: {min(times):.2f} s of CPU, best of 5 (wanted: under 0.30)")


if __name__ == "__main__":
    main()
