"""Unsloth rewrites the trainer of the method alone. In a process of its own: it rewrites TRL for good."""

import os
import subprocess
import sys

SCRIPT = """
from rlexp.backend.patches import one_trainer
one_trainer.only("grpo")
import unsloth, unsloth.models.rl as rl
rl.patch_trl_rl_trainers()  # import unsloth does, on a GPU
import trl, trl.experimental.orpo as orpo
told = lambda: print("rewritten", *[c.__name__ for c in (trl.GRPOTrainer, trl.DPOTrainer, orpo.ORPOTrainer)
                                    if c.__module__.startswith("Unsloth")])
told()
one_trainer.only("orpo")
one_trainer.only("grpo")
told()
"""


def test_the_methods_trainer_is_rewritten_and_that_of_the_next_method_in_the_same_process(tmp_path):
    environment = {**os.environ, "UNSLOTH_ALLOW_CPU": "1", "UNSLOTH_COMPILE_LOCATION": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=200)
    told = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("rewritten")]
    assert told == [["UnslothGRPOTrainer"], ["UnslothGRPOTrainer", "UnslothORPOTrainer"]], done.stderr[-2000:]
    assert {file.name for file in tmp_path.glob("Unsloth*Trainer.py")} == {
        "UnslothGRPOTrainer.py",
        "UnslothORPOTrainer.py",
    }
