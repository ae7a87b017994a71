"""How many rows a term applies to."""

import pytest

from rlexp.compose.schema import Reward, Term
from rlexp.inputs.reward_source import read
from rlexp.reward.coverage import Coverage, coverage
from rlexp.reward.rubric import Rubric, workers_for
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def shipped():
    names = ("correct", "final_number", "format")
    reward = Reward(max_failed=1.0, terms={name: Term(file=f"rewards/{name}.py") for name in names})
    sources = {name: read(ROOT, f"rewards/{name}.py") for name in names}
    return Rubric(reward, sources, workers_for(reward, sources, processes=0))


def rows(*answers):
    return [{"prompt": f"Question {n}", "answer": answer} for n, answer in enumerate(answers)]


def test_the_rows_that_a_term_applies_to_are_counted(shipped):
    found = coverage(shipped, rows("4", r"2\sqrt{3}", None, float("nan"), "", "5+5=10\n#### 10"))
    assert found == [Coverage("correct", 3, 6, 3), Coverage("final_number", 2, 6, 3)]  # format reads no column
    assert str(found[1]) == "final_number applies to 33% of the rows (2 of 6 tried; 3 of them have no answer)"


def test_nearly_all_rows_are_not_called_all():
    assert str(Coverage("correct", 999, 1000, 0)) == "correct applies to 99.90% of the rows (999 of 1000 tried)"
    assert str(Coverage("correct", 1000, 1000, 0)) == "correct applies to 100% of the rows (1000 of 1000 tried)"


def test_nothing_is_said_where_a_term_fails(tmp_path):
    (tmp_path / "rewards").mkdir()
    (tmp_path / "rewards/mine.py").write_text("version = 1\n\n\ndef score(completions, answer):\n    1 / 0\n")
    source, reward = (
        read(tmp_path, "rewards/mine.py"),
        Reward(max_failed=1.0, terms={"mine": Term(file="rewards/mine.py")}),
    )
    failing = Rubric(reward, {"mine": source}, workers_for(reward, {"mine": source}, processes=0))
    assert coverage(failing, rows("4")) == []
