"""What the fork server imports once, so that tasks start at once; nothing here may start a thread."""

import pipelines.steps.acquire
import pipelines.steps.prepare  # noqa: F401
