#!/usr/bin/env python3
"""Opens an HTML report as a reader would, in a headless Chromium, at the width of a phone and of a desktop.

    tests/browser/check_report.py runs/study/report.html [FOLDER]

Fails where the console has a message, a picture does not load, the page is wider than its window, a
picture is not enlarged, a point of a chart does not tell its numbers or words are not at their uncertainty
maps. Leaves screenshots in FOLDER.
Needs Chromium (Debian: chromium) and no network.
"""

import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTHS = {"phone": 390, "desktop": 1280}

# Runs in the page after it has loaded, and tells its findings to the frame around it.
PROBE = """
addEventListener("load", () => {
  const images = [...document.images];
  const dialog = document.querySelector("dialog");
  const buttons = [...document.querySelectorAll(".enlarge")];
  const enlarged = buttons.filter((button) => {
    button.click();
    const opened = dialog.open && dialog.querySelector("img") !== null;
    dialog.close();
    return opened;
  });
  const points = [...document.querySelectorAll("main .point")];
  const telling = points.filter((point) => {
    point.focus();
    const told = getComputedStyle(point, "::after").content;
    return told.length > 4 && told !== "normal" && told !== "none";
  });
  // Words over and under uncertainty maps stand at the maps: their centres are within their columns.
  const astray = [...document.querySelectorAll(".maps")].flatMap((maps) => {
    const { left, width } = maps.querySelector("img").getBoundingClientRect();
    return [...maps.querySelectorAll(".columns")].flatMap((row) => [...row.children].filter((word, column, { length }) => {
      const range = document.createRange();
      range.selectNodeContents(word);
      const box = range.getBoundingClientRect();
      const place = ((box.left + box.right) / 2 - left) / (width / length);
      return place < column || place > column + 1;
    }));
  });
  const words = document.querySelectorAll(".maps .columns span");
  const pixels = [...document.querySelectorAll(".pixels")];
  parent.postMessage(JSON.stringify({
    words: words.length,
    astray: astray.map((word) => word.textContent),
    smooth: pixels.filter((image) => getComputedStyle(image).imageRendering !== "pixelated").length,
    images: images.length,
    broken: images.filter((image) => image.naturalWidth === 0).length,
    window: innerWidth,
    page: document.documentElement.scrollWidth,
    pictures: buttons.length,
    enlarged: enlarged.length,
    points: points.length,
    telling: telling.length,
  }), "*");
});
"""

# A window of Chromium has at least 500 px; a frame may be as narrow as a phone.
FRAME = """<!DOCTYPE html><title>frame</title>
<script>addEventListener("message", (event) => { document.body.dataset.found = event.data; });</script>
<body><iframe src="report.html" style="width: %dpx; height: 900px; border: 0"></iframe></body>
"""


def chromium(page, width, *arguments):
    """Opens a page; gives back standard output and the lines of the console."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--disable-quic", "--no-first-run", "--disable-background-networking"]
    command += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
    command += ["--enable-logging=stderr", "--v=0", f"--window-size={width},900"]
    with tempfile.TemporaryDirectory() as profile:
        command += [f"--user-data-dir={profile}", "--virtual-time-budget=20000"]
        command += [*arguments, page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return done.stdout, console


def problems(report, width, screenshot):
    """What is wrong with a report at a width, in sentences."""
    chromium(report, width, f"--screenshot={screenshot.resolve()}")
    with tempfile.TemporaryDirectory() as folder:
        probed = Path(folder) / "report.html"
        script = f"<script>{PROBE}</script></body>"
        probed.write_text(report.read_text().replace("</body>", script, 1))
        frame = Path(folder) / "frame.html"
        frame.write_text(FRAME % width)
        dom, console = chromium(frame, width, "--dump-dom")
    yield from (f"the console says {line}" for line in console)
    found = re.search(r'data-found="([^"]*)"', dom)
    if found is None:
        yield "the page did not finish loading"
        return
    found = json.loads(html.unescape(found.group(1)))
    print(f"{width} px: {found}")
    if found["broken"]:
        yield f"{found['broken']} of {found['images']} pictures do not load"
    if found["page"] > found["window"]:
        yield f"the page is {found['page']} px wide in a window of {found['window']} px"
    if found["astray"]:
        yield f"{found['astray']} of {found['words']} words are not at their uncertainty maps"
    if found["smooth"]:
        yield f"{found['smooth']} pictures of pixels are blurred"
    if found["enlarged"] < found["pictures"]:
        yield f"only {found['enlarged']} of {found['pictures']} pictures are enlarged"
    if found["telling"] < found["points"]:
        yield f"only {found['telling']} of {found['points']} points tell their numbers"


def main():
    report = Path(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else report.parent
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for name, width in WIDTHS.items():
        for problem in problems(report, width, folder / f"report-{name}.png"):
            failed = True
            print(f"{name}: {problem}", file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
