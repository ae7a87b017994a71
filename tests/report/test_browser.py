"""Reports in Debian's chromium, opened from the disk: nothing complains, nothing leaves the file, everything works."""

import itertools
import json
import subprocess

import pytest

from rlexp.api.report import report
from tests.conftest import ROOT
from tests.evaluate import swept
from tests.report import browser, planted

pytestmark = [pytest.mark.long, pytest.mark.skipif(browser.PROGRAM is None, reason=browser.MISSING)]
STEPS = 30
LONG = "never shortened " * 62_500  # a megabyte
ODD_ROWS = {
    **{"prompt": ["a?"] * 16, "completion": [None, *[""] * 15], "group": [0] * 16, "correct": [1.0] * 16},
    **{"format": [0.125 * n for n in range(16)], "reward": [None, *[1 + 0.125 * n for n in range(1, 16)]]},
}
"""A step with a completion that is none, and more scores than have a bar each."""
ODD = {(7, row): text for row, text in enumerate(planted.HOSTILE)}


def text_of(step, row):
    return LONG if (step, row) == (9, 0) else ODD.get((step, row), f"<answer>{step}, {row}</answer>")


@pytest.fixture(scope="module")
def files(composed, tmp_path_factory):
    """The reports of a run, of a sweep, of two runs, and of a run without completions."""
    place = tmp_path_factory.mktemp("reports")
    (place / "conf").symlink_to(ROOT / "conf")
    run = composed("hardware=cpu")
    planted.write(place / "outputs/a", run, steps=STEPS, prompts=3, text=text_of)
    planted.write(place / "outputs/b", composed("hardware=cpu", "method.beta=0.04"), steps=5)
    subprocess.run(["rm", "-r", str(place / "outputs/b/completions")], check=True)
    folder = swept.made(place, {**swept.grid(), ("method.beta=1", 0): {"status": "failed", "reason": "boom"}})
    for point in folder.glob("p[0-5]"):
        lines = [{"step": n, "reward": n / 4 + int(point.name[1]) / 10} for n in range(1, 9)]
        (point / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    planted.write(place / "outputs/c", run, steps=4, prompts=1)
    (place / "outputs/c/metrics.jsonl").write_text("")  # not a line yet
    planted.store(place / "outputs/c", 1, ODD_ROWS)
    planted.write(place / "outputs/d", run, steps=2)
    for path in (place / "outputs/d/completions").iterdir():
        path.write_text("damaged")
    words = {"run": ["outputs/a"], "sweep": ["multirun/s"], "runs": ["outputs/a", "outputs/b"], "bare": ["outputs/b"]}
    words |= {"early": ["outputs/c"], "damaged": ["outputs/d"]}
    return {name: report(own, place, place).file for name, own in words.items()}


@pytest.fixture(scope="module")
def chromium():
    with browser.started() as found:
        yield found


@pytest.fixture
def tab(chromium):
    """A page that nobody may hear complain, and that may ask for nothing but its file."""
    found = chromium.tab()
    found.size(1200, 900)
    yield found
    assert found.complaints == []
    assert all(address.startswith(("file:", "about:")) for address in found.requests), found.requests
    assert len([address for address in found.requests if address.startswith("file:")]) == 1, found.requests
    assert found.run("document.title") not in ("pwned", "1", "")


HEARD = """
  window.heard = [];
  const draws = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    window.heard.push([this.canvas.closest(".chart")?.dataset.chart, text]);
    return draws.call(this, text, ...rest);
  };
"""
"""Keeps every text that is drawn in a chart."""


def shown(tab):
    """The places of the completions that are listed: (step, group, place)."""
    return tab.run("[...document.querySelectorAll('#rows .row header a')].map((a) => a.textContent)")


def enter(tab, id, value, event):
    """Gives a field a value, as a person would have."""
    field = f"document.getElementById({json.dumps(id)})"
    tab.run(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event({json.dumps(event)}))")


def matches(tab):
    return int(tab.run("document.getElementById('matches').textContent").split(" ")[0])


@pytest.mark.parametrize("name", ["run", "sweep", "runs", "bare"])
def test_a_report_opens_without_a_complaint_in_both_themes_and_fits_a_narrow_window(tab, files, name):
    for scheme, width in (("light", 1200), ("dark", 1200), ("light", 360), ("dark", 390)):
        tab.scheme(scheme)
        tab.size(width, 900)
        tab.open(files[name])
        for share in (0.2, 0.4, 0.6, 0.8, 1):  # charts are drawn where they are seen
            tab.run(f"scrollTo({{top: document.body.scrollHeight * {share}, behavior: 'instant'}})")
            tab.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert tab.run("document.querySelectorAll('canvas').length") > 0
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"


CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const found = parse(getComputedStyle(e).backgroundColor);
      if (found.length < 4 || found[3] > 0.9) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll('main *, header *')) {
    const said = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!said || !e.getClientRects().length) continue;
    const sides = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (sides[0] + 0.05) / (sides[1] + 0.05);
    if (ratio < 4.5) bad.push(`${e.tagName}.${e.className} ${e.textContent.slice(0, 30)} ${ratio}`);
  }
  return bad;
})()"""
"""Texts whose contrast is under 4.5."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(tab, files, scheme):
    tab.scheme(scheme)
    for name, address in (("run", "#step=7&group=0"), ("sweep", "")):
        tab.open(files[name], address)
        assert tab.run(CONTRAST) == []
        tab.requests.pop()
    tab.open(files["run"])


def test_the_filters_meet_each_other(tab, files):
    tab.open(files["run"])
    assert matches(tab) == STEPS * 24 and len(shown(tab)) == 25
    enter(tab, "f-step", "12", "change")
    assert matches(tab) == 24 and all(one.startswith("step 12 ") for one in shown(tab))
    counts = tab.run("[...document.querySelectorAll('#histogram button')].map((b) => b.title)")
    assert [title.split(":")[0] for title in counts] == ["reward 0", "reward 1", "reward 2"]
    wanted = [int(title.split(": ")[1].split(" ")[0]) for title in counts]
    assert sum(wanted) == 24
    tab.click("#histogram button:nth-child(3)", (0.5, 0.95))
    assert matches(tab) == wanted[2]
    tab.click("#histogram button:nth-child(2)", (0.5, 0.95))
    assert matches(tab) == wanted[1] + wanted[2] and "bins=1%2C2" in tab.run("location.hash")
    enter(tab, "f-term", "format", "change")
    assert matches(tab) == 24 and "term=format" in tab.run("location.hash")
    tab.click("#f-cut")
    assert matches(tab) == 3
    tab.click("#f-clear")
    assert matches(tab) == STEPS * 24 and tab.run("location.hash") == "#completions"
    enter(tab, "f-text", "<ANSWER>12, 2", "input")
    tab.until("document.getElementById('matches').textContent.startsWith('5 of')")  # 2, 20 to 23
    enter(tab, "f-sort", "short", "change")
    assert len(shown(tab)) == 5


def test_a_link_shows_what_it_was_made_of_and_a_wrong_one_does_no_harm(tab, files):
    tab.open(files["run"], "#step=12&group=1&row=3")
    assert shown(tab) == [f"step 12 · group 1 · {n}" for n in range(1, 9)]
    assert tab.run("document.activeElement.querySelector('a').textContent") == "step 12 · group 1 · 3"
    group = tab.run("document.getElementById('group').innerText")
    assert "Step 12, group 1" in group and "What is 1 + 2?" in group and "answer" in group
    tab.run("[...document.querySelectorAll('#group button')].at(-1).click()")
    assert "prompt=1" in tab.run("location.hash") and matches(tab) == STEPS * 8
    assert tab.run("document.querySelectorAll('#group canvas').length") == 1
    tab.run("history.back()")
    tab.until("location.hash.includes('group=1')")
    tab.until("document.getElementById('matches').textContent.startsWith('8 of')")
    for wrong in (
        "#step=x&term=__proto__&bins=9,-1,a&sort=constructor&prompt=99999",
        "#step=1&step=%00%ff&q=%5B(",
        "#x=</script>",
    ):
        tab.requests.clear()
        tab.open(files["run"], wrong)
        assert matches(tab) >= 0


def test_a_point_of_a_curve_opens_the_completions_of_its_step(tab, files):
    tab.open(files["run"])
    tab.click(".chart[data-chart=reward] .u-over", (0.5, 0.5))
    tab.until("location.hash.includes('step=')")
    step = tab.run("document.getElementById('f-step').value")
    assert 10 <= int(step) <= 20 and all(one.startswith(f"step {step} ") for one in shown(tab))
    tab.run("document.querySelector('.chart[data-chart=reward] .plot').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
        tab.press(key)
    said = tab.run("document.getElementById('said').textContent")
    assert said.startswith("step ") and "correct" in said
    tab.press("Enter")
    assert tab.run("document.getElementById('f-step').value") == said.split(":")[0].removeprefix("step ")


def test_everything_goes_by_keys(tab, files):
    tab.open(files["run"])
    for _ in range(3):
        tab.press("j")
    tab.press("k")
    place = "document.activeElement.querySelector('a').textContent"
    assert tab.run(place) == "step 1 · group 0 · 2"
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.press("ArrowDown", 40)
    assert tab.run(place) == "step 1 · group 0 · 3"
    tab.press("g")
    assert "group=0" in tab.run("location.hash") and matches(tab) == 8
    of = "(row) => Number(/advantage ([-+.\\d]+)/.exec(row.textContent)[1])"
    worth = f"[...document.querySelectorAll('#rows .row')].map({of})"
    assert tab.run(worth) == sorted(tab.run(worth), reverse=True)
    tab.press("p")
    assert "prompt=0" in tab.run("location.hash")
    tab.press("]")
    assert tab.run("document.getElementById('f-step').value") == "1"
    tab.press("]")
    tab.press("[")
    assert tab.run("document.getElementById('f-step').value") == "1"
    tab.press("Escape")
    assert matches(tab) == STEPS * 24
    tab.press("/")
    assert tab.run("document.activeElement.id") == "f-text"
    tab.press("j")
    tab.until(f"!document.getElementById('matches').textContent.startsWith('{STEPS * 24} of')")
    tab.press("Escape")
    assert tab.run("document.getElementById('f-text').value") == "" and tab.run("location.hash") == "#completions"
    assert tab.run("document.activeElement === document.body") and len(shown(tab)) == 25
    tab.press("/")
    tab.press("x")
    tab.press("Escape")  # before the text that was typed is looked for
    tab.run("new Promise((done) => setTimeout(done, 300))")
    tab.until(f"document.getElementById('matches').textContent.startsWith('{STEPS * 24} of')")
    tab.press("?")
    assert tab.run("document.getElementById('help').open")
    tab.press("Escape")
    tab.until("!document.getElementById('help').open")
    before = tab.run("getComputedStyle(document.body).backgroundColor")
    tab.press("t")
    tab.press("t")
    assert tab.run("document.documentElement.dataset.theme") == "dark"
    assert tab.run("getComputedStyle(document.body).backgroundColor") != before
    tab.press("t")
    for _ in range(30):
        tab.press("j")
    assert len(shown(tab)) > 25, "more are shown where the end is reached"


def test_hostile_completions_are_seen_and_do_nothing(tab, files):
    tab.open(files["run"], "#step=7")
    texts = tab.run("[...document.querySelectorAll('#rows .row')].map((r) => r.lastElementChild.textContent)")
    for row, text in enumerate(planted.HOSTILE):
        if "<|im_start|>" not in text and not set("\u202e\u200b\u2028") & set(text):
            assert texts[row] == text
    assert "U+202E" in texts[4] and "U+0000" in texts[4] and "U+2028" in texts[6]
    assert tab.run("document.querySelectorAll('#rows img, #rows script, #rows svg, #rows a[href^=http]').length") == 0
    assert tab.run(
        "[...document.querySelectorAll('#rows .said')].every((e) => getComputedStyle(e).unicodeBidi === 'isolate')"
    )
    turns = tab.run("[...document.querySelectorAll('#rows .turn')].map((t) => t.className + '|' + t.innerText)")
    assert [turn.split("|")[0] for turn in turns] == ["turn user", "turn assistant"]
    assert tab.run("[...document.querySelectorAll('#rows .special')].map((s) => s.textContent)") == [
        *("<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>")
    ]


def test_a_completion_of_a_megabyte_is_whole(tab, files):
    tab.open(files["run"], "#step=9&group=0&row=1")
    assert tab.run("document.activeElement.querySelector('.said').textContent.length") == len(LONG)
    tab.press("e")
    assert tab.run("document.activeElement.querySelector('.said').clientHeight") > 5000


def test_a_table_of_a_sweep_is_sorted_by_its_heads(tab, files):
    tab.open(files["sweep"])
    column = "[...document.querySelectorAll('#points tbody tr')].map((r) => r.cells[{n}].textContent)"
    heads = tab.run("[...document.querySelectorAll('#points th')].map((h) => h.textContent)")
    after = next(n for n, head in enumerate(heads) if head.endswith("after"))
    click = f"document.querySelectorAll('#points th button')[{after}].click()"
    tab.run(click)
    values = [float(value) for value in tab.run(column.format(n=after)) if value]
    assert values == sorted(values) and tab.run(column.format(n=after))[-1] == "", "what was not measured is last"
    tab.run(click)
    values = [float(value) for value in tab.run(column.format(n=after)) if value]
    assert values == sorted(values, reverse=True) and tab.run(column.format(n=after))[-1] == ""
    assert tab.run(f"document.querySelectorAll('#points th')[{after}].getAttribute('aria-sort')") == "descending"


def test_smoothing_moves_the_lines_and_commands_are_copied(tab, files):
    tab.open(files["run"])
    picture = "document.querySelector('.chart[data-chart=reward] canvas').toDataURL()"
    before = tab.until(picture)
    enter(tab, "smoothing", "0.9", "input")
    assert tab.run(picture) != before and tab.run("document.getElementById('smoothing-value').textContent") == "0.90"
    tab.click("#commands .copy")
    tab.until("document.querySelector('#commands .copy').textContent === 'Copied'")


def test_held_out_rows_are_ordered_by_what_changed(tab, files):
    tab.open(files["run"])
    changes = "[...document.querySelectorAll('#held-out-rows header b')].map((b) => Number(b.textContent))"
    rise = tab.run(changes)
    assert len(rise) == 8
    for _ in range(2):
        tab.run("document.getElementById('held-out-more').click()")
    rise = tab.run(changes)
    assert len(rise) == 20 and rise == sorted(rise, reverse=True)
    enter(tab, "held-out-order", "fall", "change")
    assert tab.run(changes) == sorted(rise)[:8]


@pytest.mark.parametrize(("name", "count"), [("early", 40), ("damaged", None)])
def test_no_section_is_needed_by_the_script(tab, files, name, count):
    tab.open(files[name])
    assert tab.run("document.documentElement.dataset.theme ?? 'none'") == "none"
    tab.press("Escape")
    assert tab.run("document.getElementById('completions') !== null")
    if count is not None:
        assert matches(tab) == count
    else:
        assert "cannot be read" in tab.run("document.getElementById('completions').innerText")
        tab.press("t")
        assert tab.run("document.documentElement.dataset.theme") == "light"


def test_a_completion_that_is_none_is_not_an_empty_one(tab, files):
    tab.open(files["early"], "#step=1&group=0&sort=stored")
    said = tab.run("[...document.querySelectorAll('#rows .row')].map((row) => row.lastElementChild.textContent)")
    assert said == ["(no completion was stored)", *["(empty)"] * 15]
    assert "spread 0.56" in tab.run("document.getElementById('group').innerText")


def test_a_histogram_names_its_values_or_is_linear_in_them(tab, files):
    axis = "[...document.querySelectorAll('#axis span')].map((one) => one.textContent)"
    tab.open(files["run"])
    assert tab.run(axis) == ["0", "1", "2"] and tab.run("document.getElementById('axis-name').textContent") == "reward"
    tab.requests.clear()
    tab.open(files["early"])
    assert tab.run(axis) == ["0", *[""] * 18, "2.88", "no score"]
    for bars in ("#histogram button", "#axis span"):
        places = tab.run(f"[...document.querySelectorAll('{bars}')].map((one) => one.getBoundingClientRect().x)")
        apart = [b - a for a, b in itertools.pairwise(places[:20])]
        assert max(apart) - min(apart) < 0.5


def test_what_an_address_names_and_is_not_here_is_said(tab, files):
    tab.open(files["run"], "#step=abc&prompt=zz&sort=high&x=%3Cb%3E")
    said = tab.run("document.getElementById('matches').textContent")
    assert said.endswith("it is passed over: step=abc, prompt=zz, x=<b>") and matches(tab) == STEPS * 24
    tab.press("Escape")
    assert "passed over" not in tab.run("document.getElementById('matches').textContent")


def test_axes_of_steps_have_whole_steps_and_shares_lie_in_their_range(tab, files):
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=HEARD)
    tab.open(files["damaged"])
    tab.run("document.querySelector('.chart[data-chart=clipped]').scrollIntoView()")
    said = "[...heard].filter(([chart]) => chart === '{}').map(([, text]) => text)"
    tab.until(said.format("clipped") + ".length")
    texts = tab.run(said.format("clipped"))
    assert {"0", "1", "2"} <= set(texts) and not {"1.25", "1.5", "1.75", "-0.2", "1.2"} & set(texts), texts


def test_sections_that_do_not_fit_fade_away(tab, files):
    tab.size(400, 900)
    tab.open(files["run"])
    nav = "document.querySelector('.top nav')"
    assert tab.run(f"{nav}.scrollWidth > {nav}.clientWidth")
    assert "gradient" in tab.run(f"getComputedStyle({nav}).maskImage")
    tab.run(f"{nav}.scrollLeft = 9999")
    end = f"{nav}.lastElementChild.getBoundingClientRect().right - {nav}.getBoundingClientRect().right"
    assert tab.run(end) <= -38, "the last one can be read whole"
