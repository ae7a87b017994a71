"""A point of a sweep as a user writes it by hand: TRL alone, with vLLM in the process on a GPU (perf/sweep.py).

Same model, rows, rewards and trainer arguments as the points of ours; nothing is recorded, locked or evaluated.

Usage, from the project folder: python perf/by_hand_point.py MODEL STEPS SEED BETA NUM_GENERATIONS GPU (1 or 0)
Prints the rewards of its steps as JSON.
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    import torch
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer

    model, steps, seed, beta, generations, gpu = sys.argv[1], *map(float, sys.argv[2:])
    sys.path.insert(0, "rewards")
    import correct
    import format as format_

    def format_reward(completions: Any, **_: Any) -> Any:
        """Scores the tags."""
        return format_.score([turns[-1]["content"] for turns in completions])

    def correct_reward(completions: Any, answer: Any, **_: Any) -> Any:
        """Scores the answer."""
        return correct.score([turns[-1]["content"] for turns in completions], answer)

    rows = Dataset.from_parquet("data/arithmetic/train.parquet").select_columns(["prompt", "answer"])
    device: dict[str, Any] = {"use_cpu": True, "bf16": False}
    if gpu:
        device = {"bf16": True, "use_vllm": True, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.3}
    trainer = trl.GRPOTrainer(
        model=model,
        processing_class=AutoTokenizer.from_pretrained(model),
        reward_funcs=[correct_reward, format_reward],
        peft_config=LoraConfig(
            r=16,
            lora_alpha=32,
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        ),
        args=trl.GRPOConfig(
            output_dir="outputs/by_hand_point",
            per_device_train_batch_size=64,
            gradient_accumulation_steps=1,
            num_generations=int(generations),
            max_completion_length=48 if "smollm2" in model else 32,
            max_steps=int(steps),
            learning_rate=1e-4 if "smollm2" in model else 2e-3,
            lr_scheduler_type="constant",
            beta=beta,
            logging_steps=1,
            save_strategy="no",
            gradient_checkpointing=False,
            model_init_kwargs={"dtype": "bfloat16" if gpu else "float32"},
            seed=int(seed),
            data_seed=int(seed),
            report_to="none",
            disable_tqdm=True,
            **device,
        ),
        train_dataset=rows,
    )
    trainer.train()
    trainer.save_model("outputs/by_hand_point")
    rewards = [one["reward"] for one in trainer.state.log_history if "reward" in one]
    print(json.dumps({"rewards": rewards, "torch": torch.__version__}))


if __name__ == "__main__":
    Path("outputs").mkdir(exist_ok=True)
    main()
