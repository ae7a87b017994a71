"""GRPO, DPO or ORPO by hand with plain TRL: transformers and PEFT, for GRPO also vLLM in the same process (colocate).

DPO's reference is the model with its adapter switched off.

Usage: python perf/sides/trl_side.py JOB.json (written by grpo_gpu.py or preference_gpu.py)
"""

import time
from pathlib import Path


def main() -> None:
    """Loads, then trains when its turns come."""
    import by_hand
    import turn
    import work

    spec = turn.job()

    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rlexp.train.step_time import StepTime

    if spec["vllm"]:
        import vllm  # noqa: F401

    classes = by_hand.classes(spec["method"])
    laps = {"imported": time.time() - spec["started"]}
    shape = work.Shape(**spec["shape"])
    folder, project = Path(spec["folder"]), Path(spec["project"])
    cuda, method = torch.cuda.is_available(), spec["method"]
    trainer_class, config_class = classes
    asked = {**work.arguments(method, shape, spec["max_steps"], spec["vllm"]), **spec["arguments"]}
    said = work.whole(method, shape, asked, folder, spec["vllm"], cuda, spec["max_length"])
    times: list[StepTime] = []
    turns = turn.callback(spec, lambda: times[0].steps if times else [])
    with turn.engine(spec):
        model = AutoModelForCausalLM.from_pretrained(
            spec["model"], dtype=torch.bfloat16 if cuda else torch.float32, device_map=0 if cuda else "cpu"
        )
        turns.laps |= laps | {"loaded": time.time() - spec["started"]}
        trainer = trainer_class(
            model=model,
            processing_class=AutoTokenizer.from_pretrained(spec["model"]),
            args=config_class(**said),
            callbacks=[turns],
            peft_config=LoraConfig(
                r=work.RANK, lora_alpha=work.ALPHA, target_modules=work.TARGETS, task_type="CAUSAL_LM"
            ),
            **by_hand.learnt_from(method, project),
        )
    times.append(StepTime(trainer))
    trainer.add_callback(times[0])
    turns.watch(trainer).train()


if __name__ == "__main__":
    main()
