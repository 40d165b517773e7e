"""What the fork server imports once, so that tasks start at once; nothing here may start a thread.

Each import below costs a task between 0.1 and 1 s of processor time when it has to make it itself.
"""

import datasketch
import datatrove.executor.local

import pipelines.steps.acquire
import pipelines.steps.prepare
import scrapers.capture  # noqa: F401
from filters.language import preload

preload()
