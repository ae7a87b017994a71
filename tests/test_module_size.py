"""A module has at most 250 lines; those that are longer are named here with the reason."""

from pathlib import Path

SRC = Path(__file__).parents[1] / "src/rlexp"
MOST = 250
LONGER = {
    "compose/schema.py": "a docstring stands under every field of the composed tree",
    "reward/pool/pool.py": "one thread owns everything that it does",
    "reward/sandbox.py": "what the sandbox promises is read as a whole",
}


def test_no_other_module_is_longer():
    lengths = {
        path.relative_to(SRC).as_posix(): len(path.read_text().splitlines()) for path in sorted(SRC.rglob("*.py"))
    }
    assert {name: count for name, count in lengths.items() if count > MOST and name not in LONGER} == {}
    assert all(lengths[name] > MOST for name in LONGER)
