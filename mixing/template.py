"""The one chat template: a conversation as segments, never as one string.

Segments are control tokens or text, and text is encoded as text whatever it spells: a question that says `<|im_end|>`
cannot end a turn. Each says whether it is learned: answers and the token that stops them, and nothing else. The forms
are those published (`mixing.template_forms`); `Template.jinja` is the same form for a `tokenizer_config.json`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from manifests.errors import RecipeError
from mixing.template_forms import (
    ALPACA_PRIMER,
    ALPACA_PRIMER_INPUT,
    LLAMA_3_OPENING,
    ROLES,
    Form,
    Message,
    Segment,
    alpaca,
    chatml,
    chatml_opening,
    llama_2,
    llama_3,
    medalpaca,
    mellama,
)

__all__ = ["TEMPLATES", "Message", "NotAConversation", "Segment", "Template", "joined", "template"]


class NotAConversation(ValueError):
    """The turns are not a conversation to learn from; `str()` says why, without a word of them."""


@dataclass(frozen=True, slots=True)
class Template:
    """One published form."""

    name: str
    form: Form
    stop: str
    """Name of the token that ends an answer; empty: the tokenizer's end token."""
    special: tuple[str, ...]
    """Tokens that the tokenizer must have, begin and end tokens apart."""
    jinja: str
    """The same form for `chat_template` of a `tokenizer_config.json`."""
    opening: tuple[Segment, ...] = ()
    """What stands before an answer that is to be generated, where the question does not end with it."""

    def render(self, messages: Sequence[Message], *, generate: bool = False) -> list[Segment]:
        """The segments of a whole conversation, or with `generate` of one that ends where an answer is to begin.

        NotAConversation if the turns do not alternate from user to assistant after at most one system message.
        """
        _check(messages, generate=generate)
        segments = [*self.form(messages), *(self.opening if generate else ())]
        return [one for one in segments if one.text or one.kind in ("bos", "eos")]


def joined(segments: Sequence[Segment], *, bos: str, eos: str) -> str:
    """What the segments spell, with these begin and end tokens: for people and for tests, never for an encoder."""
    return "".join({"bos": bos, "eos": eos}.get(one.kind, one.text) for one in segments)


def template(name: str) -> Template:
    """The template called `name`; RecipeError names the nearest."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    near = difflib.get_close_matches(name, TEMPLATES, n=1)
    raise RecipeError(
        f"there is no chat template {name!r}.",
        why=f"There are {', '.join(TEMPLATES)}.",
        fix=f"Did you mean {near[0]!r}?" if near else "Name one of them.",
    )


def _check(messages: Sequence[Message], *, generate: bool) -> None:
    turns = [one.role for one in messages]
    if turns[:1] == ["system"]:
        turns = turns[1:]
    if not turns:
        raise NotAConversation("no turn of a user.")
    for number, role in enumerate(turns):
        expected = "assistant" if number % 2 else "user"
        if role != expected:
            got = role if role in ROLES else "of another role"
            raise NotAConversation(f"turn {number + 1} is {got} where {expected} is expected.")
    if generate and turns[-1] != "user":
        raise NotAConversation("the last turn is an answer, and another is to be generated.")
    if not generate and turns[-1] != "assistant":
        raise NotAConversation("the last turn has no answer.")


_TURNS = (
    "{%- set turns = messages[1:] if messages[0].role == 'system' else messages -%}"
    "{%- set system = messages[0].content if messages[0].role == 'system' else '' -%}"
)
_ASKED = "(m.content + '\\n\\n' + m.context if m.context else m.content)"


def _jinja_turns(question: str, *, bos: bool = True) -> str:
    """A form of text alone: `question` is an expression of `m`, `system` and `loop`; answers end in the end token."""
    begin = "{{- bos_token -}}" if bos else ""
    answer = "{%- if m.role == 'assistant' -%}{{- m.content + eos_token -}}"
    ends = "{%- endif -%}{%- endfor -%}"
    return f"{_TURNS}{begin}{{%- for m in turns -%}}{answer}{{%- else -%}}{{{{- {question} -}}}}{ends}"


def _jinja_chatml(user: str, assistant: str) -> str:
    names = f"{{'system': 'system', 'user': '{user}', 'assistant': '{assistant}'}}[m.role]"
    return (
        "{%- for m in messages -%}"
        f"{{{{- '<|im_start|>' + {names} + '\\n' + {_ASKED} + '<|im_end|>\\n' -}}}}"
        "{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{- '<|im_start|>{assistant}\\n' -}}}}{{%- endif -%}}"
    )


_HEADER_3 = "'<|start_header_id|>' + {} + '<|end_header_id|>\\n\\n'"
_IM = ("<|im_start|>", "<|im_end|>")
_JINJA = {
    "alpaca": _jinja_turns(
        f"((system or ('{ALPACA_PRIMER_INPUT}' if m.context else '{ALPACA_PRIMER}')) if loop.first else '')"
        " + '\\n\\n### Instruction:\\n' + m.content + '\\n\\n'"
        " + ('### Input:\\n' + m.context + '\\n\\n' if m.context else '') + '### Response:'"
    ),
    "medalpaca": _jinja_turns(
        f"((system or '{ALPACA_PRIMER_INPUT}') if loop.first else '') + '\\n\\n### Instruction:\\n' + m.content"
        " + '\\n\\n### Input:\\n' + (m.context or '') + '\\n\\n### Response:\\n'",
        bos=False,
    ),
    "mellama": _jinja_turns(
        f"(system + '\\n\\n' if system and loop.first else '') + 'Human: \\n' + {_ASKED} + '\\n\\nAssistant: \\n'"
    ),
    "llama-2": (
        f"{_TURNS}{{%- for m in turns -%}}{{%- if m.role == 'assistant' -%}}"
        "{{- ' ' + m.content | trim + ' ' + eos_token -}}{%- else -%}"
        "{%- set first = loop.first and turns | length < messages | length -%}"
        "{%- set top = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' if first else '' -%}"
        f"{{{{- bos_token + '[INST] ' + (top + {_ASKED}) | trim + ' [/INST]' -}}}}{{%- endif -%}}{{%- endfor -%}}"
    ),
    "llama-3": (
        "{{- bos_token -}}{%- for m in messages -%}{{- "
        + _HEADER_3.format("m.role")
        + f" + {_ASKED} | trim + '<|eot_id|>' -}}}}{{%- endfor -%}}{{%- if add_generation_prompt -%}}{{{{- "
        + _HEADER_3.format("'assistant'")
        + " -}}{%- endif -%}"
    ),
    "meditron-chatml": _jinja_chatml("question", "answer"),
    "chatml": _jinja_chatml("user", "assistant"),
}

TEMPLATES: dict[str, Template] = {
    one.name: one
    for one in (
        Template("alpaca", alpaca, "", (), _JINJA["alpaca"]),
        Template("medalpaca", medalpaca, "", (), _JINJA["medalpaca"]),
        Template("mellama", mellama, "", (), _JINJA["mellama"]),
        Template("llama-2", llama_2, "", (), _JINJA["llama-2"]),
        Template(
            "llama-3",
            llama_3,
            "<|eot_id|>",
            ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            _JINJA["llama-3"],
            LLAMA_3_OPENING,
        ),
        Template(
            "meditron-chatml",
            chatml({"system": "system", "user": "question", "assistant": "answer"}),
            "<|im_end|>",
            _IM,
            _JINJA["meditron-chatml"],
            chatml_opening("answer"),
        ),
        Template(
            "chatml",
            chatml({"system": "system", "user": "user", "assistant": "assistant"}),
            "<|im_end|>",
            _IM,
            _JINJA["chatml"],
            chatml_opening("assistant"),
        ),
    )
}
