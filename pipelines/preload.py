"""What the fork server imports once, so that tasks start at once; nothing here may start a thread.

Each import below costs a task between 0.1 and 1 s of processor time when it has to make it itself.
"""

import importlib

from filters.language import preload

for module in (
    "datasketch",
    "datatrove.executor.local",
    "pipelines.steps.acquire",
    "pipelines.steps.prepare",
    "scrapers.capture",
):
    importlib.import_module(module)
preload()
