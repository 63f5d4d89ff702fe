"""The report in a real browser: it loads nothing, runs nothing, says so in light and dark, and fits a telephone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import polars as pl
import pytest
from PIL import Image, ImageStat

from aqaudit.audits import audit
from aqaudit.report import page
from report_sample import STUDY, failures, sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr"),
)
# What a page may do to be measured from outside, since it runs no script itself.
FRAME = """<!DOCTYPE html><title>frame</title><iframe id="f" src="/report.html" width="{wide}" height="800"></iframe>
<p id="seen"></p><script>
document.getElementById("f").onload = e => {{
  const root = e.target.contentDocument.documentElement;
  document.getElementById("seen").textContent = `${{root.scrollWidth}} of ${{root.clientWidth}}`;
}};
</script>"""


@dataclass
class Site:
    """A loopback web site of a few pages, and everything that was asked of it."""

    pages: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None and "browser" in os.environ.get("AQAUDIT_REQUIRE", "").split(","):
        pytest.fail("AQAUDIT_REQUIRE names browser, and neither chromium nor google-chrome is on the path")
    if found is None:
        pytest.skip("needs chromium or google-chrome")
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            body = site.pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    media = tmp_path_factory.mktemp("media")
    bait = "".join(
        f"<{tag} {key}='{site.address}/bait-{tag}'></{tag}>"
        for tag, key in (("script", "src"), ("img", "src"), ("iframe", "src"), ("link rel=stylesheet", "href"))
    )
    hostile = f"{bait}<script>document.title='run'</script><svg onload=alert(1)>\x1b[31m\u202e" + "W" * 5000
    frame = sample(media).with_columns(
        said=pl.lit(hostile), reasoning=pl.lit(hostile), action=pl.lit(hostile), criterion=pl.lit(hostile)
    )
    site.pages["/report.html"] = page.render(
        frame, failures(), audit(frame), title=f"Report {hostile}", study_toml=STUDY + bait, media_dir=media
    )
    site.pages["/narrow.html"] = FRAME.format(wide=360)
    site.pages["/wide.html"] = FRAME.format(wide=1280)
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def browse(chromium: str, profile: Path, address: str, *flags: str) -> tuple[str, str]:
    done = subprocess.run(
        [chromium, *FLAGS, f"--user-data-dir={profile}", *flags, address],
        capture_output=True,
        timeout=90,
        check=True,
    )
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def test_the_page_asks_for_nothing_runs_nothing_and_has_no_error(chromium: str, site: Site, tmp_path: Path) -> None:
    site.asked.clear()
    dom, log = browse(chromium, tmp_path / "profile", f"{site.address}/report.html", "--dump-dom")
    assert site.asked == ["/report.html"]
    assert "<title>Report &lt;script" in dom
    assert not re.findall(r".*CONSOLE.*", log)
    assert dom.count('role="img"') == 12


@pytest.mark.parametrize("frame", ["narrow", "wide"])
def test_no_line_is_wider_than_the_screen(chromium: str, site: Site, tmp_path: Path, frame: str) -> None:
    dom, _ = browse(
        chromium, tmp_path / "profile", f"{site.address}/{frame}.html", "--dump-dom", "--virtual-time-budget=5000"
    )
    seen = re.search(r'<p id="seen">(\d+) of (\d+)</p>', dom)
    assert seen is not None
    assert int(seen[1]) <= int(seen[2])


def test_the_page_is_light_or_dark_as_the_reader_has_it(chromium: str, site: Site, tmp_path: Path) -> None:
    brightness = {}
    for name, flags in {"light": (), "dark": ("--blink-settings=preferredColorScheme=0",)}.items():
        picture = tmp_path / f"{name}.png"
        address = f"{site.address}/report.html"
        browse(chromium, tmp_path / name, address, f"--screenshot={picture}", "--window-size=1000,1400", *flags)
        with Image.open(picture) as image:
            assert image.size == (1000, 1400)
            stat = ImageStat.Stat(image.convert("L"))
        brightness[name] = stat.mean[0]
        assert stat.stddev[0] > 10, "the page is blank"
    assert brightness["light"] > 200
    assert brightness["dark"] < 60
