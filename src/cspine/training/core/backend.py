"""The one file that knows which framework Keras runs on."""

import gc
import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads it while it is imported

import keras

from cspine.concurrency.processors import limited_processors
from cspine.errors import CspineError, UsageError


def prepare_backend(threads: int) -> None:
    """Makes training repeatable, on no more than ``threads`` processor threads (0: as many as this process may use).

    Threads can only be set before the framework has run anything; later calls leave them as they are.
    """
    threads = threads or limited_processors() or 0
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:  # already running
            return
    elif keras.backend.backend() == "torch":
        import torch  # type: ignore[import-not-found,unused-ignore]  # installed by those who train on it

        torch.use_deterministic_algorithms(True)
        if threads:
            torch.set_num_threads(threads)


@contextmanager
def on_devices(count: int) -> Iterator[None]:
    """Shares each batch among the first ``count`` devices of this machine; networks that are built within lie on all of them.

    With 1 nothing changes.

    Raises:
        UsageError: Keras does not run on JAX, or JAX sees fewer devices.
    """
    if count == 1:
        yield
        return
    backend = keras.backend.backend()
    if backend != "jax":
        raise UsageError(f"--devices {count} needs KERAS_BACKEND=jax (extra train-jax). Received: {backend}. Set it, or give one.")
    seen = keras.distribution.list_devices()
    if len(seen) < count:
        raise UsageError(f"--devices {count} needs {count} devices. Received: {', '.join(seen)}. `cspine doctor` lists them.")
    with keras.distribution.DataParallel(devices=seen[:count], auto_shard_dataset=False).scope():
        yield


def accelerator() -> str | None:
    """Returns the name of the GPU, or other accelerator, that networks are trained on; ``None`` where that is a processor."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        seen = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(seen[0]).get("device_name", seen[0].name) if seen else None
    if backend == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        first = jax.local_devices()[0]
        return None if first.platform == "cpu" else str(first.device_kind)
    import torch  # type: ignore[import-not-found,unused-ignore]

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None


def ran_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error of the framework, or of numpy, says that memory is full."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    full = "out of memory" in text or "resource_exhausted" in text or "alloc_failed" in text
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return isinstance(error, tf.errors.ResourceExhaustedError) or (isinstance(error, tf.errors.OpError) and full)
    if backend == "jax":
        import jax

        return isinstance(error, jax.errors.JaxRuntimeError) and full
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError) or (isinstance(error, RuntimeError) and full)


def check_converts() -> None:
    """Makes sure that Keras can convert networks with outputs by name, of inputs of any size: on PyTorch it cannot.

    Raises:
        UsageError: Keras runs on PyTorch.
    """
    if keras.backend.backend() == "torch":
        raise UsageError(
            "Networks are exported on TensorFlow, whatever framework they were trained on; every extra brings it. "
            "Received: KERAS_BACKEND=torch. Set KERAS_BACKEND=tensorflow and export again."
        )


def free_memory() -> None:
    """Gives back the memory of networks that nobody holds any more."""
    gc.collect()
    if keras.backend.backend() == "torch":
        import torch

        torch.cuda.empty_cache()


@contextmanager
def buildable(recipe: str) -> Iterator[None]:
    """Tells in one line where Keras cannot build a network within.

    Args:
        recipe: Whose network it is.

    Raises:
        UsageError: It cannot.
    """
    try:
        yield
    except CspineError:
        raise
    except Exception as error:
        first = str(error).strip().split("\n")[0][:160] or type(error).__name__
        raise UsageError(
            f"The network of {recipe} cannot be built with these settings ({first}). Change the settings of network or input."
        ) from error


@contextmanager
def calculating_in(precision: str) -> Iterator[None]:
    """Makes networks that are built within calculate in ``precision``, a dtype policy of Keras; weights stay in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def compiles() -> bool:
    """Returns whether a network is worth compiling: JAX is slow without; TensorFlow would lose its repeatability, and minutes."""
    return bool(keras.backend.backend() == "jax")


def build_losses(model: keras.Model, losses: keras.losses.Loss | dict[str, keras.losses.Loss]) -> None:
    """Makes the counters of a compiled network's losses before its first step.

    TensorFlow traces a step a second time if it makes variables, which takes seconds or minutes.

    Args:
        model: Compiled.
        losses: What it was compiled with. A batch holds the truth of these outputs alone.
    """
    compiled = getattr(model, "_compile_loss", None)  # Keras has no public way; without, training begins later
    if keras.backend.backend() == "tensorflow" and compiled is not None and not compiled.built:
        found = model.output
        compiled.build({name: found[name] for name in losses} if isinstance(losses, dict) else found, found)


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and the framework."""
    keras.utils.set_random_seed(seed)


def software() -> str:
    """Returns versions of what trains, for instance ``keras 3.15.1, tensorflow 2.21.0``."""
    backend = keras.backend.backend()
    names = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}[backend]
    return f"keras {keras.__version__}, {backend} {_version(names)}"


def _version(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of unknown version"
