"""The model card of an exported folder: README.md with the hub's front matter, NOTICE where a licence asks for one.

Made from the run's books and the build's manifest; what they do not say the card says is not known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.base_licences import BaseLicence, base_licence, model_name
from train.card_facts import DataFacts, data_facts, training_facts
from train.config import RunConfig
from train.taint import AGREEMENT
from train.trained import Trained

README, NOTICE = "README.md", "NOTICE"


def write_card(folder: Path, trained: Trained, mark: Mapping[str, Any]) -> None:
    """Write `README.md`, and `NOTICE` where the base's licence asks for one, into an exported folder."""
    licence = base_licence(mark["base_licence"], _origin(mark))
    data, training = data_facts(trained), training_facts(trained)
    (folder / README).write_text(card(trained.config, mark, licence, data, training), encoding="utf-8")
    if licence and licence.notice:
        (folder / NOTICE).write_text(licence.notice + "\n", encoding="utf-8")


def card(
    config: RunConfig,
    mark: Mapping[str, Any],
    licence: BaseLicence | None,
    data: DataFacts,
    training: Mapping[str, Any],
) -> str:
    """The text of the card."""
    name = model_name(config.name, licence)
    parts = [
        _front(mark, licence, data),
        f"# {name}",
        "**Research only, not for clinical decisions.** " + config.description,
        _restricted(mark),
        _licence(mark, licence, name),
        _data(data, mark),
        _contamination(data),
        _training(config, mark, data, training),
        _evaluation(training),
        _use(config),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _origin(mark: Mapping[str, Any]) -> str:
    """The base at the beginning of the line."""
    before = mark["trained_before"]
    return str((before[0].get("base") if before else "") or mark["base"])


def _front(mark: Mapping[str, Any], licence: BaseLicence | None, data: DataFacts) -> str:
    """YAML; every value is written as JSON, which is YAML."""
    table: dict[str, Any] = {"license": "other"}
    if licence and not mark["restricted"]:
        table["license"] = licence.key
    else:
        table["license_name"] = "data-use-agreement" if mark["restricted"] else "not-stated"
    if mark["base"].count("/") == 1:
        table["base_model"] = mark["base"]
        table["base_model_relation"] = "adapter" if mark["kind"] == "adapter" else "finetune"
    if data.languages:
        table["language"] = data.languages
    table["library_name"] = "peft" if mark["kind"] == "adapter" else "transformers"
    table["pipeline_tag"] = "text-generation"
    table["tags"] = ["medical", "medtrove", *(["restricted"] if mark["restricted"] else [])]
    return "\n".join(
        ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()), "---"]
    )


def _restricted(mark: Mapping[str, Any]) -> str:
    if not mark["restricted"]:
        return ""
    return (
        f"**Restricted.** {AGREEMENT} This folder, copies of it and models made from it are for those who may read "
        "the data; they are not to be uploaded, published or served to others."
    )


def _licence(mark: Mapping[str, Any], licence: BaseLicence | None, name: str) -> str:
    lines = ["## Licence of the weights"]
    if not mark["base"]:
        lines.append("Trained from random weights; no base's licence applies. The data's licences are below.")
        return "\n\n".join(lines)
    lines.append(
        f"Base: {mark['base']}, " + (f"under the {licence.title}." if licence else "whose licence is not stated.")
    )
    if licence and licence.shown:
        lines.append(f"**{licence.shown}**")
    if licence and licence.name_begins:
        lines.append(
            f'Its licence asks that names of models made from it begin with "{licence.name_begins}": "{name}".'
        )
    if licence and licence.notice:
        lines.append(f"{licence.notice} (also in the file NOTICE, which stays with every copy)")
    return "\n\n".join(lines)


def _data(data: DataFacts, mark: Mapping[str, Any]) -> str:
    total = sum(data.tokens.values())
    lines = ["## Data"]
    manifest = mark["manifest_sha256"] or "not known"
    lines.append(
        f"Build {data.build or 'not at hand'}, manifest sha256 `{manifest}`; {total:,} training tokens an epoch."
    )
    rows = []
    for source, n in sorted(data.tokens.items(), key=lambda item: -item[1]):
        facts = data.sources.get(source, {})
        limited = "yes" if facts.get("restricted") else "no" if facts else "not known"
        rows.append(
            [
                source,
                _cell(facts.get("title", "")),
                _cell(facts.get("publisher", "")),
                limited,
                f"{n:,}",
                _share(n, total),
            ]
        )
    lines.append(_table(["source", "title", "publisher", "restricted", "tokens", "share"], rows))
    if data.licences:
        whole = sum(data.licences.values())
        lines.append("Licences of the documents, by tokens:")
        rows = [[_cell(key) or "unknown", f"{n:,}", _share(n, whole)] for key, n in data.licences.items()]
        lines.append(_table(["licence", "tokens", "share"], rows))
        undated = f" {_share(data.undated, whole)} of the tokens have no year." if data.undated else ""
        newest = f"The newest document is of {data.newest_year}." if data.newest_year else "No document has a year."
        lines.append(f"Knowledge cutoff: {newest}{undated} The base may know more.")
    else:
        lines.append(
            "Licences of documents and the knowledge cutoff are not known: the build's manifest was not at hand."
        )
    return "\n\n".join(lines)


def _contamination(data: DataFacts) -> str:
    head = "## Benchmark contamination"
    if not data.build:
        return f"{head}\n\nNot known: the build's manifest was not at hand."
    if not data.decontaminated:
        return f"{head}\n\nThe data were **not** searched for items of benchmarks: scores on any may be too high."
    files = ", ".join(f"`{name}`" for name in data.decontaminated)
    said = f"{head}\n\nDocuments were searched for items of the benchmarks in {files}. "
    removed = ", ".join(f"{n:,} for {key}" for key, n in sorted(data.removed.items()))
    return said + f"Removed: {removed or 'none'}. Of other benchmarks, and of the base's own data, nothing is known."


def _training(config: RunConfig, mark: Mapping[str, Any], data: DataFacts, training: Mapping[str, Any]) -> str:
    optim, header, last = config.optim, training["header"], training["last"]
    rows = {
        "run": f"{mark['run']} (preset {mark['preset']}), step {mark['step']:,}",
        "shards": f"fingerprint `{mark['shards_fingerprint']}`, rows of {config.data.sequence_length:,} tokens",
        "epochs": f"{config.data.epochs}",
        "rows of a step": f"{header.get('rows_per_step') or config.batch.rows or 'not known'}",
        "optimizer": f"AdamW, betas {optim.beta1}, {optim.beta2}, eps {optim.eps:g}, "
        f"weight decay {optim.weight_decay:g}, clip {optim.clip:g}",
        "learning rate": f"{optim.lr:g} to {optim.min_lr:g}, {optim.schedule}, warmup "
        + (f"{optim.warmup_steps:,} steps" if optim.warmup_steps else f"{optim.warmup:g} of the run"),
        "precision": f"{config.model.dtype}, fp32 master weights; these weights {mark['dtype']}",
        "engine": f"{config.parallel.engine}, ZeRO {config.parallel.zero_stage}, "
        f"{header.get('world', 'not known')} ranks on {header.get('device', 'not known')}",
        "chat template": mark["template"] or "none: continue text, do not chat",
    }
    if config.lora.r:
        rows["adapters"] = f"LoRA r {config.lora.r}, alpha {config.lora.alpha:g}, on {', '.join(config.lora.targets)}"
    if last:
        rows["consumed"] = f"{last['tokens']:,} tokens in {training['seconds'] / 3600:.2f} h of steps; the books " + (
            "close: each source was consumed as planned, to the token" if training["closed"] else "are not closed"
        )
    for before in mark["trained_before"]:
        rows[f"before: {before.get('run', '')}"] = (
            f"on the build with manifest `{before.get('manifest_sha256') or 'not known'}`"
            + (" (restricted)" if before.get("restricted") else "")
        )
    return "## Training\n\n" + _table(["", ""], [[key, _cell(value)] for key, value in rows.items()])


def _evaluation(training: Mapping[str, Any]) -> str:
    lines = ["## Evaluation"]
    found, validation = training["evaluation"], training["validation"]
    if found:
        lines.append(
            "Loss in nats a token on rows held out when the corpus was built, and bits per byte of their text:"
        )
        rows = [
            [
                source,
                f"{one['loss']:.4f}",
                f"{one['bits_per_byte']:.4f}" if one.get("bits_per_byte") else "",
                f"{one['tokens']:,}",
            ]
            for source, one in sorted(found["by_source"].items())
        ]
        lines.append(_table(["source", "loss", "bits per byte", "tokens"], rows))
    elif validation:
        first, last = validation[0], validation[-1]
        lines.append(f"Loss in nats a token on held-out rows, at step {first['step']:,} and at step {last['step']:,}:")
        rows = [
            [s, f"{first['by_source'].get(s, float('nan')):.4f}", f"{n:.4f}"]
            for s, n in sorted(last["by_source"].items())
        ]
        lines.append(_table(["source", "before", "after"], rows))
    else:
        lines.append("Not evaluated.")
    return "\n\n".join(lines)


def _use(config: RunConfig) -> str:
    chat = "answers in the form of its chat template" if config.sft.template else "continues text"
    return (
        "## Use\n\n"
        f"Intended: research on language models of medicine. It {chat}; what it "
        "writes may be wrong, outdated or made up.\n\n"
        "Excluded: diagnosis, treatment, triage, dosing or any other clinical decision, also as a help "
        "to one; advice to patients; re-identification of persons; any use that a data licence "
        "above or the base's licence excludes."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _share(n: int, total: int) -> str:
    return f"{n / total:.2%}" if total else ""
