"""One small module a method; the dict is the whole registry."""

from rlexp.build.methods import dpo, grpo, kto, orpo, rloo, sft

TRAINERS = {
    "grpo": grpo.trainer,
    "rloo": rloo.trainer,
    "dpo": dpo.trainer,
    "orpo": orpo.trainer,
    "kto": kto.trainer,
    "sft": sft.trainer,
}
