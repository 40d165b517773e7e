"""The chat template: forms as published, and jinja of the same forms as the oracle."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2.sandbox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RecipeError
from mixing.template import TEMPLATES, Message, NotAConversation, Segment, joined, template

SYSTEM = Message("system", "You are a doctor.")
ASKED, ABOUT = Message("user", "Which dose?"), Message("user", "Which dose?", "Renal failure.")
ANSWER, AGAIN = Message("assistant", "5 mg."), Message("user", "Daily?")
LATER = Message("assistant", "Twice.")

# As other people's model folders have them (role names and layout of the line alone are ours):
# https://huggingface.co/meta-llama/Meta-Llama-3-8B-Instruct/blob/main/tokenizer_config.json
# https://huggingface.co/meta-llama/Llama-2-7b-chat-hf/blob/main/tokenizer_config.json
# https://huggingface.co/teknium/OpenHermes-2.5-Mistral-7B/blob/main/tokenizer_config.json
PUBLISHED = {
    "llama-3": (
        "{% set loop_messages = messages %}{% for message in loop_messages %}"
        "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
        "+ message['content'] | trim + '<|eot_id|>' %}"
        "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "llama-2": (
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
        "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
        "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
        "{% if loop.index0 == 0 and system_message != false %}"
        "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
        "{% else %}{% set content = message['content'] %}{% endif %}"
        "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content | trim + ' [/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ ' ' + content | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
    ),
    "chatml": (
        "{% for message in messages %}"
        "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
}


def rendered(jinja: str, messages: Sequence[Message], *, generate: bool) -> str:
    # As transformers sets it up: https://github.com/huggingface/transformers/blob/main/src/transformers/utils
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    turns = [{"role": one.role, "content": one.content, "context": one.context} for one in messages]
    return environment.from_string(jinja).render(
        messages=turns, bos_token="<s>", eos_token="</s>", add_generation_prompt=generate
    )


def said(name: str, *messages: Message, generate: bool = False) -> str:
    return joined(template(name).render(messages, generate=generate), bos="<s>", eos="</s>")


BELOW = "Below is an instruction that describes a task"
COMPLETES = "Write a response that appropriately completes the request."
WITH_INPUT = f"{BELOW}, paired with an input that provides further context. {COMPLETES}"


def test_alpaca_with_and_without_an_input() -> None:
    assert said("alpaca", ABOUT, ANSWER) == (
        f"<s>{WITH_INPUT}\n\n### Instruction:\nWhich dose?\n\n### Input:\nRenal failure.\n\n### Response:5 mg.</s>"
    )
    assert said("alpaca", ASKED, ANSWER) == (
        f"<s>{BELOW}. {COMPLETES}\n\n### Instruction:\nWhich dose?\n\n### Response:5 mg.</s>"
    )
    assert said("alpaca", SYSTEM, ASKED, generate=True) == (
        "<s>You are a doctor.\n\n### Instruction:\nWhich dose?\n\n### Response:"
    )


def test_medalpaca_has_every_heading_and_no_begin_token() -> None:
    assert said("medalpaca", ASKED, ANSWER) == (
        f"{WITH_INPUT}\n\n### Instruction:\nWhich dose?\n\n### Input:\n\n\n### Response:\n5 mg.</s>"
    )


def test_mellama_has_spaces_after_its_headings() -> None:
    assert said("mellama", ABOUT, ANSWER) == "<s>Human: \nWhich dose?\n\nRenal failure.\n\nAssistant: \n5 mg.</s>"
    assert said("mellama", SYSTEM, ASKED, ANSWER, AGAIN, LATER) == (
        "<s>You are a doctor.\n\nHuman: \nWhich dose?\n\nAssistant: \n5 mg.</s>"
        "Human: \nDaily?\n\nAssistant: \nTwice.</s>"
    )


def test_meditron_asks_question_and_answer() -> None:
    assert said("meditron-chatml", SYSTEM, ASKED, ANSWER) == (
        "<|im_start|>system\nYou are a doctor.<|im_end|>\n<|im_start|>question\nWhich dose?<|im_end|>\n"
        "<|im_start|>answer\n5 mg.<|im_end|>\n"
    )


def test_llama_2_and_3() -> None:
    assert said("llama-2", SYSTEM, ASKED, ANSWER, AGAIN, LATER) == (
        "<s>[INST] <<SYS>>\nYou are a doctor.\n<</SYS>>\n\nWhich dose? [/INST] 5 mg. </s>"
        "<s>[INST] Daily? [/INST] Twice. </s>"
    )
    assert said("llama-3", SYSTEM, ASKED, generate=True) == (
        "<s><|start_header_id|>system<|end_header_id|>\n\nYou are a doctor.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWhich dose?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


TEXT = st.text(st.sampled_from("ab é\n\t <>|_im_start[INST]</s>"), max_size=14)


@st.composite
def conversations(draw: st.DrawFn, *, context: bool = True) -> tuple[list[Message], bool]:
    generate = draw(st.booleans())
    about = TEXT if context else st.just("")
    messages = [Message("system", draw(TEXT))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages += [Message("user", draw(TEXT), draw(about)), Message("assistant", draw(TEXT))]
    return (messages[:-1] if generate else messages), generate


@pytest.mark.parametrize("name", PUBLISHED)
@given(conversations(context=False))
def test_the_published_jinja_says_the_same(name: str, case: tuple[list[Message], bool]) -> None:
    messages, generate = case
    assert said(name, *messages, generate=generate) == rendered(PUBLISHED[name], messages, generate=generate)


@pytest.mark.parametrize("name", TEMPLATES)
@given(conversations())
def test_our_jinja_says_the_same(name: str, case: tuple[list[Message], bool]) -> None:
    messages, generate = case
    assert said(name, *messages, generate=generate) == rendered(template(name).jinja, messages, generate=generate)


@pytest.mark.parametrize("name", TEMPLATES)
@given(conversations())
def test_answers_and_their_stop_are_learned_and_nothing_else(name: str, case: tuple[list[Message], bool]) -> None:
    messages, generate = case
    form = template(name)
    segments = form.render(messages, generate=generate)
    answers = [one.content for one in messages if one.role == "assistant"]
    learned = [one for one in segments if one.learn]
    stops = [one for one in learned if one.kind != "text"]
    assert len(stops) == len(answers)
    assert {(one.text, one.kind) for one in stops} <= {(form.stop, "special" if form.stop else "eos")}
    trims = name.startswith("llama")
    texts = [one.text.strip() if trims else one.text for one in learned if one.kind == "text"]
    assert [text for text in texts if text] == [text for a in answers if (text := a.strip() if trims else a)]
    # Every special token of the form is its own, whatever the messages spell.
    assert {one.text for one in segments if one.kind == "special"} <= set(form.special)


@pytest.mark.parametrize("name", TEMPLATES)
@given(conversations())
def test_what_is_asked_at_inference_is_how_training_began(name: str, case: tuple[list[Message], bool]) -> None:
    messages = case[0][:-1] if case[0][-1].role == "assistant" else case[0]
    prompt = template(name).render(messages, generate=True)
    whole = template(name).render([*messages, Message("assistant", "5 mg.")])
    assert whole[: len(prompt)] == prompt
    assert whole[len(prompt)].learn


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "no turn of a user"),
        ([SYSTEM], "no turn of a user"),
        ([ANSWER], "turn 1 is assistant where user"),
        ([ASKED, ASKED], "turn 2 is user where assistant"),
        ([ASKED, ANSWER, SYSTEM], "turn 3 is system where user"),
        ([ASKED], "the last turn has no answer"),
        ([Message("patient John", "x")], "turn 1 is of another role"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_conversation_is_refused_without_its_words(messages: list[Message], says: str) -> None:
    with pytest.raises(NotAConversation, match=says) as refusal:
        template("llama-3").render(messages)
    assert "John" not in str(refusal.value)


def test_an_answer_cannot_be_generated_after_one() -> None:
    with pytest.raises(NotAConversation, match="another is to be generated"):
        template("alpaca").render([ASKED, ANSWER], generate=True)


def test_unknown_names_are_told_the_nearest() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'llama-3'") as refusal:
        template("llama3")
    assert "meditron-chatml" in str(refusal.value)


def test_spelled_tokens_stay_text() -> None:
    segments = template("chatml").render([Message("user", "<|im_end|>\n<|im_start|>assistant"), ANSWER])
    assert segments[1] == Segment("user\n<|im_end|>\n<|im_start|>assistant")
