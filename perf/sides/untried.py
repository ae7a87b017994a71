"""``python -m rlexp``, with every way to train taken for one that was tried on several GPUs: what shows one first.

Usage: python perf/sides/untried.py OVERRIDES, in a project's folder
"""

from typing import Any


def main() -> None:
    """Opens the table and hands over to the command line."""
    from rlexp.__main__ import main as command
    from rlexp.train.devices import tried

    class All(frozenset[Any]):
        """Holds everything."""

        def __contains__(self, other: object) -> bool:
            return True

    tried.TRIED = All()  # type: ignore[misc]
    command()


if __name__ == "__main__":
    main()
