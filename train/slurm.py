"""The batch job of a run: written as one readable script, submitted, and going on by itself until the run is complete.

    array 1-10%1   one task at a time; a task that dies is followed by the next, which resumes
    USR1           ten minutes before the limit: the loop saves and leaves, and the task is queued again behind the
                   others, so that only crashes use the array up
    end            complete, and the waiting tasks are cancelled; or saved and to go on, which the file STOPPED in the
                   run's folder says, as torchrun knows no exit code but 0 and 1; KILL_SWITCH there ends it all

srun starts one torchrun on each node with fixed node ranks: rank 0 is on the first host of the list, whose address
all know, and no host has to find out whether it is meant by a name (which c10d's rendezvous does, and hangs).
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from manifests.errors import BuildError, RecipeError
from train.config import ClusterSection, RunConfig
from train.plan import ranks_of

JOB = "job.sbatch"
_NOTICE = 600
"""Seconds before the limit at which the loop is asked to save."""
_PLAIN = re.compile(r"[A-Za-z0-9_.@+:,/-]+")
_REQUEST = re.compile(r"--(gpus|gres|gpus-per-node|gpus-per-task|constraint)=[A-Za-z0-9_:.,|&-]+")
_TIMES = (
    re.compile(r"(?P<minutes>\d+)(:(?P<seconds>\d+))?"),
    re.compile(r"(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)"),
    re.compile(r"(?P<days>\d+)-(?P<hours>\d+)(:(?P<minutes>\d+))?(:(?P<seconds>\d+))?"),
)


def write_sbatch(
    config: RunConfig,
    run: Path,
    *,
    shards: Path,
    restricted: bool = False,
    checkpoint_bytes: float = 0.0,
    python: str = sys.executable,
) -> Path:
    """Write `job.sbatch` into a run's folder, which has its `config.toml`; the path of the script.

    RecipeError for a value of `[cluster]` that Slurm could not take or that would smuggle a line into the script.
    """
    text = sbatch_text(
        config, run.resolve(), shards.resolve(), restricted=restricted, checkpoint_bytes=checkpoint_bytes, python=python
    )
    (run / "logs").mkdir(mode=0o700 if restricted else 0o777, exist_ok=True)
    script = run.resolve() / JOB
    script.unlink(missing_ok=True)
    script.touch(mode=0o700)
    script.write_text(text, encoding="utf-8")
    script.chmod(0o700 if restricted else 0o755)
    return script


def submit(script: Path) -> str:
    """Hand a written job to Slurm; the number of its array. The log is made with the script's own permissions."""
    if shutil.which("sbatch") is None:
        raise BuildError(
            "there is no sbatch here.",
            where=str(script),
            why="[cluster] kind = 'slurm' asks for Slurm.",
            fix="Submit the script on a login node: `sbatch PATH`; or --set cluster.kind=local.",
        )
    private = not script.stat().st_mode & 0o077
    done = subprocess.run(
        ["sbatch", "--parsable", str(script)],
        capture_output=True,
        text=True,
        check=False,
        umask=0o077 if private else -1,
    )
    if done.returncode:
        raise BuildError(
            f"sbatch refused the job: {done.stderr.strip()}",
            where=str(script),
            why="Account, partition, quality of service and the way to ask for GPUs are the site's own.",
            fix="Set them in [cluster], for example --set cluster.account=GROUP.",
        )
    return done.stdout.strip().partition(";")[0]


def sbatch_text(
    config: RunConfig,
    run: Path,
    shards: Path,
    *,
    restricted: bool,
    checkpoint_bytes: float = 0.0,
    python: str = sys.executable,
) -> str:
    """The script; `run` and `shards` are absolute paths. Nothing of a site stands in it but what `[cluster]` says."""
    ranks = ranks_of(config)
    if config.parallel.engine == "torch" and config.cluster.nodes > 1:
        raise RecipeError(
            f"engine = 'torch' on {config.cluster.nodes} nodes.",
            where="[cluster] nodes",
            why="The torch engine is one process.",
            fix="Set parallel.engine = 'deepspeed', or cluster.nodes = 1.",
        )
    threads = max(1, (config.cluster.cpus_per_task or 8) * config.cluster.nodes // max(ranks, 1))
    lines = [
        "#!/bin/bash",
        *_directives(config, run),
        "",
        f"# {config.name}: {_one_line(config.description, 'description')}",
        "# Written by medtrove; change the configuration and write it again.",
        "set -uo pipefail",
        *(["umask 077  # the shards are restricted, and so is all that comes of them"] if restricted else []),
        f"export RUN={shlex.quote(_one_line(str(run), 'run'))}",
        f"export SHARDS={shlex.quote(_one_line(str(shards), 'shards'))}",
        f"export PYTHON={shlex.quote(_one_line(python, 'python'))}",
        *(f"module load {shlex.quote(_one_line(name, 'modules'))}" for name in config.cluster.modules),
        *config.cluster.setup,
        "",
        _BODY.format(
            ranks=ranks // config.cluster.nodes, threads=threads, need=int(checkpoint_bytes * _copies(config))
        ),
    ]
    return "\n".join(lines)


def seconds_of(time: str) -> int:
    """Slurm's forms of a time limit, in seconds; RecipeError for any other."""
    for form in _TIMES:
        if found := form.fullmatch(time):
            parts = {name: int(value or 0) for name, value in found.groupdict().items()}
            days, hours = parts.get("days", 0), parts.get("hours", 0)
            return ((days * 24 + hours) * 60 + parts.get("minutes", 0)) * 60 + parts.get("seconds", 0)
    raise RecipeError(
        f"{time!r} is no time limit.",
        where="[cluster] time",
        fix="Write minutes, hours:minutes:seconds or days-hours:minutes:seconds, such as 2-00:00:00.",
    )


def _directives(config: RunConfig, run: Path) -> list[str]:
    cluster = config.cluster
    limit = seconds_of(cluster.time)
    found = [
        f"--job-name={config.name}",
        f"--nodes={cluster.nodes}",
        "--ntasks-per-node=1",
        *_gpus(cluster),
        *([f"--cpus-per-task={cluster.cpus_per_task}"] if cluster.cpus_per_task else []),
        f"--mem={_plain(cluster.memory, 'memory')}",
        *(["--exclusive"] if cluster.nodes > 1 else []),
        f"--time={cluster.time}",
        f"--signal=B:USR1@{min(_NOTICE, max(30, limit // 4))}",
        "--requeue",
        "--open-mode=append",
        f"--array=1-{cluster.repeats}%1",
        f"--output={_pattern(run / 'logs' / 'job-')}%A_%a.log",
    ]
    for key in ("account", "partition", "qos"):
        if value := getattr(cluster, key):
            found.append(f"--{key}={_plain(value, key)}")
    return [f"#SBATCH {_quoted(one)}" for one in found]


def _gpus(cluster: ClusterSection) -> list[str]:
    if not cluster.gpus_per_node:
        return []
    asked = cluster.gpu_request.split() or [f"--gpus-per-node={cluster.gpus_per_node}"]
    for one in asked:
        if not _REQUEST.fullmatch(one):
            raise RecipeError(
                f"{one!r} is no way to ask for GPUs.",
                where="[cluster] gpu_request",
                why="It becomes a line that Slurm reads.",
                fix="Write such as --gpus=a100:8, --gres=gpu:8 or --constraint=a100.",
            )
    return asked


def _plain(value: str, key: str) -> str:
    if not _PLAIN.fullmatch(value):
        raise RecipeError(
            f"{value!r} is no name that Slurm takes.",
            where=f"[cluster] {key}",
            why="It becomes part of a line that Slurm reads.",
            fix="Use letters, digits and any of _ . @ + : , / -.",
        )
    return value


def _one_line(value: str, key: str) -> str:
    if not value.isprintable():
        raise RecipeError(
            f"{value!r} has a line break or another character that cannot be shown.",
            where=key,
            why="What follows it would be a line of the batch script.",
            fix="Rename it.",
        )
    return value


def _pattern(path: Path) -> str:
    """A path in which Slurm expands nothing."""
    return _one_line(str(path), "run").replace("%", "%%")


def _quoted(option: str) -> str:
    """An option as Slurm's reader of directives takes it: it knows double quotes and backslashes."""
    if re.fullmatch(r"[A-Za-z0-9_.@+:,/%=|&-]+", option):
        return option
    name, _, value = option.partition("=")
    return f'{name}="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _copies(config: RunConfig) -> int:
    """Checkpoints that must find room at once: those kept, and the one being written."""
    return config.run.keep + 1


_BODY = r"""export MASTER_ADDR MASTER_PORT
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export OMP_NUM_THREADS={threads} PYTHONDONTWRITEBYTECODE=1 DEEPSPEED_TIMEOUT=60
export TORCH_NCCL_ASYNC_ERROR_HANDLING=1 TORCH_FR_BUFFER_SIZE=2000 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
# srun has not taken this over from sbatch since Slurm 22.05; without it all ranks of a node share one core.
[ -n "${{SLURM_CPUS_PER_TASK:-}}" ] && export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

# SLURM_PROCID, the node's number, is known on the node alone: expanded there, not here.
ranks() {{
  srun --wait=60 --kill-on-bad-exit=1 bash -c 'exec "$PYTHON" -m train.torchrun --nnodes="$SLURM_NNODES" \
    --nproc-per-node={ranks} --node-rank="$SLURM_PROCID" --master-addr="$MASTER_ADDR" --master-port="$MASTER_PORT" \
    --max-restarts=0 --tee 3 --log-dir "$RUN/logs" "$@"' ranks "$@"
}}
last_of_array() {{ scancel --state=PENDING "$SLURM_ARRAY_JOB_ID"; }}

begun=$RUN/logs/begun-$SLURM_JOB_ID
touch "$begun"
# Again and again: a run that is still starting takes the file for one left by an earlier process, and removes it.
ask_to_save() {{ while touch "$RUN/SAVE_AND_EXIT"; do sleep 5; done; }}
asker=
trap '[ -n "$asker" ] || {{ ask_to_save & asker=$!; }}; woken=1' USR1 TERM

if ! ranks -m train.preflight --folder "$RUN" --need {need}; then
  echo "preflight failed on $SLURM_JOB_NODELIST; the next task of the array tries again"
  exit 1
fi
ranks -m train.pretrain --config "$RUN/config.toml" --shards "$SHARDS" --run-folder "$RUN" --resume auto &
running=$!
# A signal interrupts wait, while the run is still saving.
while woken=0; wait "$running"; code=$?; [ "$woken" = 1 ]; do :; done
[ -z "$asker" ] || {{ kill "$asker"; rm -f "$RUN/SAVE_AND_EXIT"; }}

if [ -e "$RUN/KILL_SWITCH" ]; then
  echo "stopped for good by $RUN/KILL_SWITCH"
  last_of_array
elif [ "$code" = 85 ] || [ "$RUN/STOPPED" -nt "$begun" ]; then
  echo "saved; task $SLURM_ARRAY_TASK_ID is queued again"
  trap - USR1 TERM  # requeueing ends this script by TERM, which is no wish to stop the next one
  scontrol requeue "$SLURM_JOB_ID"
elif [ "$code" = 0 ]; then
  last_of_array
else
  echo "the run ended with $code; the next task of the array resumes it"
fi
exit "$code"
"""
