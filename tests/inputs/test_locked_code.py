"""The inputs of a lock, found again."""

from rlexp.compose.places import Places
from rlexp.inputs import locked_code
from rlexp.inputs.digest import file_md5

SCORE = "version = 1\n\n\ndef score(completions):\n    return [0.0 for _ in completions]\n"


def test_a_reward_that_nobody_has_as_it_was_is_a_fault_with_both_hashes(tmp_path):
    (tmp_path / "rewards").mkdir()
    (tmp_path / "rewards/mine.py").write_text(SCORE)
    wanted = file_md5(tmp_path / "rewards/mine.py")
    (tmp_path / "rewards/mine.py").write_text(SCORE.replace("1", "2"))
    other = file_md5(tmp_path / "rewards/mine.py")
    search = locked_code.Search(Places.of(tmp_path), tmp_path / "sources")
    assert locked_code.reward(search, {"file": "rewards/mine.py", "md5": wanted}) is None
    assert search.faults == [("rewards/mine.py", wanted[:12], other[:12])] and not search.notes
    (tmp_path / "sources/rewards").mkdir(parents=True)
    (tmp_path / "sources/rewards/mine.py").write_text(SCORE)
    found = locked_code.reward(search, {"file": "rewards/mine.py", "md5": wanted})
    assert found is not None and found.md5 == wanted and "the locked copy is used instead" in search.notes[0]
