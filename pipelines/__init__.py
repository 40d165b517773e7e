"""What runs, in which order, on which executor, and the command line. The only room that knows datatrove."""

import os

# Before datatrove is imported anywhere: loguru's default traceback prints the values of local variables, and in a
# step those are patients' notes.
os.environ["LOGURU_DIAGNOSE"] = "NO"
os.environ["LOGURU_BACKTRACE"] = "NO"
# Tasks are the parallelism: thread pools inside each of them would only fight over the same cores.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
