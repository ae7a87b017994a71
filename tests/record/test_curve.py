"""The curve of a run as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

from rlexp.record import curve


def test_the_reward_goes_before_the_margin_and_the_loss():
    entries = [{"step": n, "loss": 1.0, "rewards/margins": 0.1, "reward": n / 2} for n in range(3)]
    assert curve.of_entries(entries) == ("reward", [(0.0, 0.0), (1.0, 0.5), (2.0, 1.0)])
    assert curve.of_entries([{"step": 1, "loss": 2.0}, {"train_loss": 1.0}]) == ("loss", [(1.0, 2.0)])
    assert curve.of_entries([]) == ("reward", [])


def test_a_picture_is_well_formed_small_and_within_its_frame():
    drawn = curve.svg("rewards/<b>&", [(step, (step % 7) / 3) for step in range(20_000)])
    tree = ElementTree.fromstring(drawn)
    (line,) = tree.iter("{http://www.w3.org/2000/svg}polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert len(places) <= curve.MOST + 1 and len(drawn) < 20_000
    assert all(0 <= x <= curve.WIDTH and 0 <= y <= curve.HEIGHT for x, y in places)
    assert places[0][0] == curve.LEFT and places[-1][0] == curve.WIDTH - 8


def test_one_point_is_no_curve_and_a_flat_one_is_a_line():
    assert curve.svg("reward", [(1.0, 2.0)]) == curve.svg("reward", []) == ""
    assert "<polyline" in curve.svg("reward", [(1.0, 2.0), (2.0, 2.0)])
    assert "<polyline" in curve.svg("reward", [(1.0, 2.0), (1.0, 3.0)])
