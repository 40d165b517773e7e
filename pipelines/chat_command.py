"""`medtrove chat`: ask a run's or an exported model, in the words of its chat template."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from manifests.errors import RecipeError
from pipelines.command_line import JsonOption, print_json
from pipelines.evaluate_command import KindOption, ModelArgument


def chat(
    model: ModelArgument,
    question: Annotated[str, typer.Argument(help="What is asked; without it, each line of the input.")] = "",
    about: Annotated[str, typer.Option("--input", help="What the question is about, for templates with a place.")] = "",
    system: Annotated[str, typer.Option("--system", help="A message before the question.")] = "",
    template: Annotated[str, typer.Option("--template", help="Of a model that does not name its own.")] = "",
    plain: Annotated[bool, typer.Option("--plain", help="No template: continue the text.")] = False,
    tokens: Annotated[int, typer.Option("--max-tokens", min=1)] = 256,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, help="0: greedy.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="The model's tokenizer.json.")] = "",
    dtype: KindOption = "fp32",
    as_json: JsonOption = False,
) -> None:
    """Ask MODEL a question, or with --plain let it continue a text. Research only, not for clinical decisions."""
    from mixing.template import Message
    from mixing.template import template as template_of
    from mixing.tokenize import Encoder
    from pipelines.train_needs import check_installed
    from train.asked import asked
    from train.generate import chat_prompt, continued

    check_installed(["torch", "transformers"])
    one = asked(Path(model), tokenizer=tokenizer)
    if one.tokenizer is None:
        raise RecipeError("the model's tokenizer is not at hand.", where=model, fix="Give it with --tokenizer FILE.")
    name = "" if plain else one.template or template
    if not plain and not name:
        raise RecipeError(
            "the model names no chat template.",
            where=model,
            why="It was not taught conversations, or by others.",
            fix="Add --plain to continue a text, or --template NAME if it was taught one.",
        )
    if one.template and template and template != one.template and not plain:
        raise RecipeError(
            f"the model was taught the template {one.template!r}, not {template!r}.",
            where=model,
            fix="Leave --template out.",
        )
    form = template_of(name) if name else None
    encoder = Encoder(str(one.tokenizer), bos=False, eos=False, special=form.special if form else ())
    loaded = one.model(dtype=dtype)

    def answer(text: str) -> str:
        if form is None:
            prompt = [int(number) for number in encoder.encode([text])[0]]
            prompt = ([encoder.bos_id] if encoder.bos_id is not None else []) + prompt
            ends = [] if encoder.eos_id is None else [encoder.eos_id]
        else:
            turns = [Message("system", system)] if system else []
            prompt, ends = chat_prompt([*turns, Message("user", text, about)], form, encoder)
        ids = continued(loaded, prompt, ends=ends, most=tokens, temperature=temperature, seed=seed)
        return encoder.decode(ids)

    _talk(question, answer, as_json=as_json)


def _talk(question: str, answer: Callable[[str], str], *, as_json: bool) -> None:
    """One question, or each line of the input on its own: there is no memory of the ones before."""
    from train.progress import visible

    asked = [question] if question else (line.rstrip("\n") for line in sys.stdin)
    for text in asked:
        if not text.strip():
            continue
        said = answer(text)
        if as_json:
            print_json({"question": text, "answer": said})
        else:
            typer.echo(visible(said.strip()))
