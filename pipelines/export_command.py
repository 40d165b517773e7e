"""The commands `medtrove export ...`: a build's shards in the forms of other trainers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.command_line import JsonOption, opened, print_json, screen

if TYPE_CHECKING:
    from mixing.reader import Shards

export_app = typer.Typer(help="Write a build's shards for other trainers; restricted builds are refused.")

BuildArgument = Annotated[str, typer.Argument(help="Build folder; default: the latest below ./build.")]
OutputOption = Annotated[Path, typer.Option("--output", help="A new or empty folder, or one to go on with.")]
ValidationOption = Annotated[bool, typer.Option("--validation", help="The validation rows instead of the mix.")]


@export_app.command()
def megatron(
    output: OutputOption,
    build: BuildArgument = "",
    by_source: Annotated[
        bool, typer.Option("--by-source", help="A pair for each source, and data-args.txt with their weights.")
    ] = False,
    validation: ValidationOption = False,
    launch: Annotated[
        str, typer.Option("--launch", help="Also launch.sh for Megatron-LM, after a preset such as meditron-70b.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Write Megatron's .bin and .idx: every document whole, in training order, without padding."""
    from mixing.exporters.megatron import export_megatron

    shards, facts = _of(build, validation=validation)
    script = _launch(launch, shards, by_source=by_source) if launch else ""
    done = export_megatron(shards, output, build=facts, by_source=by_source)
    if script:
        from train.megatron_launch import LAUNCH

        # Not in export.json: it holds the corpus, and the same corpus may be launched by another preset.
        path = output / LAUNCH
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
    _tell(done, output, as_json=as_json)


@export_app.command()
def mds(
    output: OutputOption,
    build: BuildArgument = "",
    size_limit: Annotated[int, typer.Option(help="Most bytes of a file; below 4 GiB.")] = 1 << 26,
    validation: ValidationOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write MosaicML's MDS: every row in training order, with the borders of its documents."""
    from mixing.exporters.mds import export_mds

    shards, facts = _of(build, validation=validation)
    _tell(export_mds(shards, output, build=facts, size_limit=size_limit), output, as_json=as_json)


def _launch(preset: str, shards: Shards, *, by_source: bool) -> str:
    """The launch file of a preset for these shards; made before anything is exported, so that a refusal is early."""
    from train.architecture import architecture_of
    from train.config import load_config
    from train.megatron_launch import launch_text
    from train.run_folder import check_shards

    config = load_config(preset)
    check_shards(config, shards)
    return launch_text(config, architecture_of(config), shards.index, by_source=by_source)


def _of(build: str, *, validation: bool) -> tuple[Shards, dict[str, Any]]:
    """The shards of a build, and what an export says of that build."""
    from manifests.build import corpus
    from mixing.reader import open_shards

    store = opened(build)
    known = corpus(store)
    return open_shards(store.sub("validation" if validation else "shards")), {
        "name": known["name"],
        "fingerprint": known["fingerprint"],
        "manifest_sha256": known["manifest_sha256"],
    }


def _tell(facts: dict[str, Any], output: Path, *, as_json: bool) -> None:
    from manifests.tables import Column, Table, rich_table

    if as_json:
        print_json(facts)
        return
    columns = [Column("source", "source"), Column("tokens", "tokens", "count"), Column("share", "share", "share")]
    if facts["format"] == "megatron":
        columns.append(Column("documents", "documents", "count"))
    rows = [{"source": name, **one} for name, one in facts["sources"].items()]
    console = screen()
    console.print(rich_table(Table("", tuple(columns), rows)))
    size = sum(entry["bytes"] for entry in facts["files"])
    console.print(
        f"{facts['tokens']:,} tokens, all that the {facts['split']} shards have, in {len(facts['files']):,} files "
        f"of {size:,} bytes: {output}/export.json has the sha256 of each.",
        highlight=False,
    )
