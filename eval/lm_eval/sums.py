"""Writes sums.jsonl: 60 held-out sums of the data set arithmetic, each with three wrong results beside the right one.

Usage, from the project folder: python eval/lm_eval/sums.py
"""

import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "data_prep"))

FAULTS = (-10, 10, -1, 1, -2, 2)
"""What a wrong result is off by: a forgotten carry, a slip."""


def documents(number: int = 60, seed: int = 0) -> list[dict]:
    """``question``, ``choices`` (four answers), ``gold`` (the place of the right one), ``answer``."""
    from arithmetic import rows

    generator = random.Random(seed)
    made = []
    for row in rows(train=1, test=number, low=0, high=49)["test"]:
        right = int(row["answer"])
        wrong = generator.sample([right + fault for fault in FAULTS if right + fault >= 0], 3)
        results = sorted([right, *wrong])
        made.append(
            {
                "question": row["prompt"][0]["content"],
                "choices": [f"The answer is {result}." for result in results],
                "gold": results.index(right),
                "answer": str(right),
            }
        )
    return made


if __name__ == "__main__":
    text = "".join(json.dumps(document) + "\n" for document in documents())
    (HERE / "sums.jsonl").write_text(text, encoding="utf-8")
