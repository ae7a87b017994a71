"""The cases that stand in every reward file."""

from pathlib import Path

import pytest

from rlexp.inputs.prepare import load_script
from rlexp.inputs.reward_source import PROVIDED, read

ROOT = Path(__file__).parents[1]
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "rewards").glob("*.py"))
CASES = [(file, case) for file in FILES for case in load_script(ROOT / file).cases]


@pytest.mark.parametrize(("file", "case"), CASES, ids=lambda value: Path(value).stem if isinstance(value, str) else "")
def test_a_case_scores_as_it_says(file, case):
    source = read(ROOT, file)
    columns = {PROVIDED[0]: "completion"} | {name: name for name in source.reads if name != PROVIDED[0]}
    batch = {name: [case[columns[name]]] for name in source.reads}
    params = {name: case[name] for name in source.params}
    assert load_script(ROOT / file).score(**batch, **params) == [pytest.approx(case["score"])]


@pytest.mark.parametrize("file", FILES)
def test_every_reward_has_cases_and_an_option(file):
    assert len(load_script(ROOT / file).cases) >= 5
    assert (ROOT / "conf/reward" / f"{Path(file).stem}.yaml").is_file()
