"""The file of a report: nothing of a stranger's text becomes HTML, no address is asked for, no secret is in it."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from rlexp.report import page
from rlexp.report.page import Command, HeldOut, Page, Section, Table, Text
from rlexp.report.rows import Rows
from rlexp.report.verdict import Verdict
from tests.report.planted import HOSTILE

ODD = " ".join(HOSTILE)
BROWSER = Section("completions", "Completions")


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, attrs))


DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def rows(*texts):
    """Rows of one group."""
    count = len(texts)
    return Rows(
        **{"terms": ["correct"], "total": count, "how": "all that were stored", "steps": [[1, count, count]]},
        **{"prompts": [ODD], "group_step": [1], "group_number": [0], "group_prompt": [0], "group_first": [0]},
        **{"group_read": [{"answer": ODD}], "text": list(texts), "reward": [1.0] * count, "tokens": [1] * count},
        **{"advantage": [None] * count, "cut": [False] * count, "scores": {"correct": [1.0] * count}},
    )


def everywhere(text):
    """A page that has a text in every place."""
    section = Section(
        *("curves", text, [text]),
        tables=[Table([text], [[text], [1.5], [None]], text, text, sortable=True)],
        texts=[Text(text, text)],
        commands=[Command(text, text)],
    )
    verdicts, facts = [Verdict(text, "good", text, text)], [("began", text)]
    held_out = HeldOut([{"prompt": text, "before": text, "after": text, "reward_before": 0.0, "reward_after": 1.0}], 1)
    return Page("run", text, text, text, verdicts, facts, [section, BROWSER], rows(text), held_out)


def html_of(one):
    """(the whole file, the data in it, what is neither data, style nor script of ours)."""
    text = page.render(one).decode()
    (found,) = DATA.findall(text)
    rest = re.sub(r"<(style|script)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    return text, json.loads(found), rest


def test_hostile_text_is_text_in_every_place():
    text, data, rest = html_of(everywhere(ODD))
    assert data["completions"]["text"] == [ODD] and data["heldOut"]["rows"][0]["after"] == ODD
    assert "pwned" in rest and not re.search(r"<(img|svg|a href=https|b>bold)", rest)
    assert rest.count("<script") == 0 and "onerror=&#34;" in rest
    assert not set("\u202e\u2067\x07\x00") & set(rest), "nothing turns the direction of the page"
    (raw,) = DATA.findall(text)
    assert not set("<>&\u2028\u2029") & set(raw)


def test_the_policy_allows_our_styles_and_scripts_by_hash_and_nothing_else():
    text, _, rest = html_of(everywhere(ODD))
    (said,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    said = said.replace("&#39;", "'")
    rules = dict(rule.split(" ", 1) for rule in said.split("; "))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:" and "unsafe" not in said
    for name, tag in (("style-src", "style"), ("script-src", "script")):
        own = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in own]
        assert rules[name] == " ".join(f"'sha256-{one}'" for one in hashes) and own
    tags = Tags()
    tags.feed(rest)
    names = {name for _, own in tags.found for name, _ in own}
    assert not {name for name in names if name in ("style", "src", "srcset", "action") or name.startswith("on")}
    assert not {"script", "link", "iframe", "object", "embed", "base", "img", "svg"} & {tag for tag, _ in tags.found}
    addresses = [value for _, own in tags.found for name, value in own if name == "href"]
    assert addresses and all(value.startswith("#") for value in addresses), "no address but places of the page"


def test_no_asset_of_ours_makes_html_of_text_or_asks_an_address():
    for name in (*page.SCRIPTS, "page.css", "page.html"):
        text = (page.ASSETS / name).read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), name
        assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(", text), name
        assert "\r" not in text, "a browser would hash another text than we do"


def test_secrets_are_masked_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", 'se"cret<value>&1234')
    text = page.render(everywhere('it is se"cret<value>&1234, or hf_abcdefghijklmnopqrstuvwx')).decode()
    assert "cret" not in text and "hf_abc" not in text and text.count("***") > 10
    key = "-----BEGIN RSA PRIVATE KEY-----\nabc"
    one = Page("run", "a", "a", sections=[BROWSER], rows=rows(key, "whole"))
    assert html_of(one)[1]["completions"]["text"] == ["***", "whole"], "what follows another text is not lost with it"


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\ude00"])
def test_halves_of_pairs_are_replaced(text):
    _, data, _ = html_of(everywhere(text))
    assert data["completions"]["text"] == [re.sub("[\ud800-\udfff]", "\ufffd", text)]


def test_a_section_without_content_is_absent_and_so_is_the_browser_of_completions():
    sections = [Section("curves", "Curves"), Section("health", "Health"), Section("commands", "Commands", ["typed"])]
    text, data, rest = html_of(Page("run", "a", "b", sections=sections))
    assert 'id="commands"' in rest and 'id="health"' not in rest and 'id="completions"' not in rest
    assert data["completions"] is None and data["charts"] == {} and text.startswith(page.MARK)


def test_where_rows_are_sampled_the_page_says_of_how_many_and_how():
    some = rows("a", "b")
    some.total, some.how = 100, "whole groups"
    *_, rest = html_of(Page("run", "a", "b", sections=[BROWSER], rows=some))
    assert "<b>2 of 100 completions</b>: <bdi>whole groups</bdi>" in rest


def test_a_number_in_a_table_is_short_and_sorted_by_its_whole():
    *_, rest = html_of(everywhere("x"))
    assert '<td class="number" data-value="1.5">1.5</td>' in rest
    assert [page.cell(value) for value in (None, True, 0.123456, 7, "a\x1bb")] == ["", "yes", "0.1235", "7", "a\x1bb"]


def test_the_section_of_completions_stands_wherever_there_are_some_and_none_is_not_an_empty_one():
    text, data, rest = html_of(Page("run", "a", "b", sections=[BROWSER], rows=rows(None, "")))
    assert rest.count('id="histogram"') == 1 and '<a href="#completions">Completions</a>' in rest
    assert data["completions"]["text"] == [None, ""]
    *_, rest = html_of(Page("run", "a", "b", sections=[Section("completions", "Completions", ["step 1 is damaged"])]))
    assert 'id="completions"' in rest and "step 1 is damaged" in rest and 'id="histogram"' not in rest
    assert text.startswith(page.MARK + page.WHOSE.format(""))
