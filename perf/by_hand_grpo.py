"""The main job as a user would write it by hand: one file, Unsloth and TRL, no framework. The benchmark's other side.

Same model, data, rewards and trainer arguments as ``python -m rlexp``; nothing is recorded, locked or evaluated.
Prints one JSON line with its timings.  Usage: python perf/by_hand_grpo.py STARTED STEPS, from the project folder
(STARTED: the Unix time at which the command was given; the snapshot and the model exist already).
"""

import helped  # isort: skip  # noqa: F401
import contextlib
import io
import json
import sys
import time
from typing import Any

STARTED, STEPS = float(sys.argv[1]), int(sys.argv[2])
laps = {"python": time.time() - STARTED}
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    import unsloth  # isort: skip
    import torch
    import trl
    from datasets import Dataset
    from transformers import TrainerCallback, set_seed

    laps["imported"] = time.time() - STARTED
    set_seed(0)
    model, tokenizer = unsloth.FastLanguageModel.from_pretrained(
        "models/tiny", max_seq_length=96, dtype=torch.float32, load_in_4bit=False, use_gradient_checkpointing=False
    )
    model = unsloth.FastLanguageModel.get_peft_model(
        model,
        r=16,
        lora_alpha=32,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        use_gradient_checkpointing=False,
        random_state=0,
    )
    laps["loaded"] = time.time() - STARTED

    sys.path.insert(0, "rewards")
    import correct
    import format as format_

    def format_reward(completions: Any, **_: Any) -> Any:
        """Scores the tags."""
        return format_.score([turns[-1]["content"] for turns in completions])

    def correct_reward(completions: Any, answer: Any, **_: Any) -> Any:
        """Scores the answer."""
        return correct.score([turns[-1]["content"] for turns in completions], answer)

    class Laps(TrainerCallback):
        """Notes when the first step begins."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """The first call is the one that counts."""
            laps.setdefault("first_step_begins", time.time() - STARTED)

    trainer = trl.GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[correct_reward, format_reward],
        args=trl.GRPOConfig(
            output_dir="outputs/by_hand",
            per_device_train_batch_size=64,
            gradient_accumulation_steps=1,
            num_generations=8,
            max_completion_length=32,
            max_steps=STEPS,
            learning_rate=2e-3,
            lr_scheduler_type="constant",
            beta=0.0,
            logging_steps=1,
            save_steps=50,
            save_total_limit=2,
            gradient_checkpointing=False,
            seed=0,
            data_seed=0,
            use_cpu=True,
            bf16=False,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_parquet("data/arithmetic/train.parquet").select_columns(["prompt", "answer"]),
        callbacks=[Laps()],
    )
    trainer.train()
laps["trained"] = time.time() - STARTED
logged = [entry for entry in trainer.state.log_history if "reward" in entry]
rewards, inside = [entry["reward"] for entry in logged], sum(entry["step_time"] for entry in logged)
print(json.dumps({"laps": laps, "rewards": rewards, "inside": inside}))
