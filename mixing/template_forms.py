"""The published chat forms, each a function from a conversation to segments.

A form does what its source does and says where ours goes on beyond it. A conversation comes checked: at most one
system message first, then user and assistant in turn (`mixing.template`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")
Kind = Literal["text", "special", "bos", "eos"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    context: str = ""
    """What a user's instruction is about (Alpaca's `input`); forms without a place for it put it below."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rendered conversation."""

    text: str
    kind: Kind = "text"
    """`special`: one token of that name; `bos`, `eos`: the tokenizer's own, whatever their name (`text` is empty)."""
    learn: bool = False


Form = Callable[[Sequence[Message]], Iterator[Segment]]
BOS = Segment("", "bos")
EOS = Segment("", "eos")
STOP = Segment("", "eos", learn=True)


def _split(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """The system message, empty if there is none, and the turns."""
    if messages[0].role == "system":
        return messages[0].content, list(messages[1:])
    return "", list(messages)


def _asked(message: Message) -> str:
    """An instruction and what it is about, in a form that has one place for both."""
    return f"{message.content}\n\n{message.context}" if message.context else message.content


PRIMER = "Below is an instruction that describes a task"
ALPACA_PRIMER = f"{PRIMER}. Write a response that appropriately completes the request."
ALPACA_PRIMER_INPUT = (
    f"{PRIMER}, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
)


def alpaca(messages: Sequence[Message]) -> Iterator[Segment]:
    """Stanford Alpaca: `PROMPT_DICT` in https://github.com/tatsu-lab/stanford_alpaca/blob/main/train.py.

    Without an input the sentence on top is another and the heading is missing, and the answer follows `### Response:`
    at once: the line end that later copies put there is not Alpaca's. Published for one turn without a system message.
    Ours: a system message takes the place of the sentence on top; later turns follow the end token after a blank line.
    """
    system, turns = _split(messages)
    yield BOS
    primer = system or (ALPACA_PRIMER_INPUT if turns[0].context else ALPACA_PRIMER)
    for number, turn in enumerate(turns):
        if turn.role == "assistant":
            yield Segment(turn.content, learn=True)
            yield STOP
            continue
        about = f"### Input:\n{turn.context}\n\n" if turn.context else ""
        yield Segment(f"{'' if number else primer}\n\n### Instruction:\n{turn.content}\n\n{about}### Response:")


def medalpaca(messages: Sequence[Message]) -> Iterator[Segment]:
    """medAlpaca: `DataHandler.generate_prompt` with `prompt_templates/medalpaca.json`.

    https://github.com/kbressem/medAlpaca/blob/main/medalpaca/handler.py: headings stand also above nothing, the answer
    is on a line of its own, and there is no begin token (`add_special_tokens=False`). Ours: as for `alpaca`.
    """
    system, turns = _split(messages)
    for number, turn in enumerate(turns):
        if turn.role == "assistant":
            yield Segment(turn.content, learn=True)
            yield STOP
            continue
        primer = "" if number else system or ALPACA_PRIMER_INPUT
        yield Segment(f"{primer}\n\n### Instruction:\n{turn.content}\n\n### Input:\n{turn.context}\n\n### Response:\n")


def mellama(messages: Sequence[Message]) -> Iterator[Segment]:
    """Me-LLaMA: `mellama_prompt` in https://github.com/BIDS-Xu-Lab/Me-LLaMA/blob/main/src/model_prompt.py.

    That is all its authors published: one turn, a space at the end of both headings. Ours: a system message stands on
    top before a blank line, and a later turn follows the end token.
    """
    system, turns = _split(messages)
    yield BOS
    for number, turn in enumerate(turns):
        if turn.role == "assistant":
            yield Segment(turn.content, learn=True)
            yield STOP
            continue
        top = f"{system}\n\n" if system and not number else ""
        yield Segment(f"{top}Human: \n{_asked(turn)}\n\nAssistant: \n")


def chatml(roles: dict[Role, str]) -> Form:
    """ChatML with these names of the roles: `format_message` in Megatron-LLM, MediTron's trainer.

    https://github.com/epfLLM/Megatron-LLM/blob/main/tools/preprocess_instruct_data.py: task models are asked as
    `question` and reply as `answer`; the models called "medical" use `user` and `assistant`. The space after
    `<|im_start|>` in MediTron's evaluation is how its SentencePiece tokenizer shows a token beside text, no letter of
    the form. No begin token, messages as they are. MediTron learns the heading of an answer too; we do not.
    """

    def form(messages: Sequence[Message]) -> Iterator[Segment]:
        for one in messages:
            answer = one.role == "assistant"
            yield Segment("<|im_start|>", "special")
            if answer:
                yield Segment(f"{roles['assistant']}\n")
                yield Segment(one.content, learn=True)
            else:
                yield Segment(f"{roles[one.role]}\n{_asked(one)}")
            yield Segment("<|im_end|>", "special", learn=answer)
            yield Segment("\n")

    return form


def llama_2(messages: Sequence[Message]) -> Iterator[Segment]:
    """Llama-2-chat: `chat_completion` in https://github.com/meta-llama/llama/blob/main/llama/generation.py.

    Also the `chat_template` of https://huggingface.co/meta-llama/Llama-2-7b-chat-hf. A system message is part of the
    first question; white space around messages goes; spaces stand around an answer and belong to it.
    """
    system, turns = _split(messages)
    for number, turn in enumerate(turns):
        if turn.role == "assistant":
            yield Segment(f" {turn.content.strip()} ", learn=True)
            yield STOP
            continue
        content = _asked(turn)
        if messages[0].role == "system" and not number:
            content = f"<<SYS>>\n{system}\n<</SYS>>\n\n{content}"
        yield BOS
        yield Segment(f"[INST] {content.strip()} [/INST]")


def llama_3(messages: Sequence[Message]) -> Iterator[Segment]:
    """Llama-3-Instruct: `chat_template` of https://huggingface.co/meta-llama/Meta-Llama-3-8B-Instruct.

    White space around messages goes.
    """
    yield BOS
    for one in messages:
        yield from _llama_3_header(one.role)
        if one.role == "assistant":
            yield Segment("\n\n")
            yield Segment(one.content.strip(), learn=True)
        else:
            yield Segment(f"\n\n{_asked(one).strip()}")
        yield Segment("<|eot_id|>", "special", learn=one.role == "assistant")


def _llama_3_header(role: Role) -> Iterator[Segment]:
    yield Segment("<|start_header_id|>", "special")
    yield Segment(role)
    yield Segment("<|end_header_id|>", "special")


def chatml_opening(role: str) -> tuple[Segment, ...]:
    """What stands before an answer that is to be generated."""
    return (Segment("<|im_start|>", "special"), Segment(f"{role}\n"))


LLAMA_3_OPENING = (*_llama_3_header("assistant"), Segment("\n\n"))
"""The same for `llama_3`."""
