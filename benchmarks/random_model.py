"""A chat model with random weights and made-up words: for measuring how training goes, not what it gives."""

from pathlib import Path
from typing import Any

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "100m": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "7b": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
}
VOCABULARY = {"tiny": 80, "100m": 32_000, "1b": 128_000, "7b": 32_000}
SPECIAL = ["<unk>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<pad>"]
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)


def random_model(folder: Path, shape: str, seed: int = 0) -> list[str]:
    """Write the model and return its words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = [f"w{n}" for n in range(VOCABULARY[shape] - len(SPECIAL))]
    numbers = {word: n for n, word in enumerate([*SPECIAL, *words])}
    inner = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", pad_token="<pad>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    tokens: dict[str, Any] = {"eos_token_id": 1, "pad_token_id": 5, "bos_token_id": None}
    heads = SHAPES[shape]["num_attention_heads"] // 4
    config = LlamaConfig(
        **SHAPES[shape], **tokens, vocab_size=len(numbers), num_key_value_heads=heads, max_position_embeddings=4096
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    (model if shape == "tiny" else model.to(torch.bfloat16)).save_pretrained(folder)
    return words
