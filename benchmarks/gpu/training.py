"""The loop on the device: many steps in one call, batches made there, the rate set by the clock."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.necks import Slices
from benchmarks.gpu.sampling import STEPS, Data
from cspine.training.core.loop import adamw

Batch = Callable[[Data, Any], tuple[Any, Any]]
"""Makes a batch from the data on the device and a key."""


@dataclass(frozen=True, slots=True)
class Course:
    """Holds what became of a stretch of training.

    Attributes:
        steps: How many were done.
        seconds: What they took, compiling included.
        compiled: Of these, until the first steps were done.
        losses: Mean loss of each look at the clock.
    """

    steps: int
    seconds: float
    compiled: float
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A stretch of training on the clock.

    Attributes:
        batch: Makes a batch.
        losses: Of each output, or of the only one.
        weights: Of the losses.
        learning_rate: Highest; it rises over the first twentieth of the time and falls to nothing as a cosine.
        weight_decay: Of AdamW.
        seconds: When it ends, compiling included; the steps that are under way are done first.
        chunk: Steps between two looks at the clock.
    """

    batch: Batch
    losses: Any
    weights: dict[str, float]
    learning_rate: float
    weight_decay: float
    seconds: float
    chunk: int


def train(model: keras.Model, data: Data, stretch: Stretch, seed: int) -> Course:
    """Trains a network for some seconds; its weights are changed, and are the best: the rate has fallen to nothing by then."""
    begin = time.monotonic()
    optimizer = adamw(stretch.learning_rate, stretch.weight_decay)
    optimizer.build(model.trainable_variables)
    at = next(i for i, variable in enumerate(optimizer.variables) if variable.name == "learning_rate")
    state = tuple(
        [v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    )
    many = jax.jit(partial(_many, model, optimizer, stretch), donate_argnums=0)
    losses: list[float] = []
    key, compiled, done = jax.random.key(seed), 0.0, 0.0
    while not losses or done < 1:
        state[2][at] = jnp.asarray(stretch.learning_rate * _share_of_rate(done), jnp.float32)
        key, one = jax.random.split(key)
        state, loss = many(state, data, one)
        losses.append(float(loss))  # waits for the device
        if not math.isfinite(losses[-1]):
            raise FloatingPointError("The loss is NaN or infinite.")
        passed = time.monotonic() - begin
        compiled = compiled or passed
        done = 1.0 if passed >= stretch.seconds else (passed - compiled) / (stretch.seconds - compiled)
    for variables, values in zip((model.trainable_variables, model.non_trainable_variables), state, strict=False):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return Course(len(losses) * stretch.chunk, time.monotonic() - begin, compiled, tuple(losses))


def _share_of_rate(done: float) -> float:
    return 0.01 + done / 0.05 * 0.99 if done < 0.05 else (1 + math.cos(math.pi * (done - 0.05) / 0.95)) / 2


def _many(model: keras.Model, optimizer: Any, stretch: Stretch, state: Any, data: Data, key: Any) -> tuple[Any, Any]:
    """Returns the state after some steps, and their mean loss."""

    def step(state: Any, key: Any) -> tuple[Any, Any]:
        trained, rest, optimizing = state
        images, targets = stretch.batch(data, key)

        def loss_of(trained: Any) -> tuple[Any, Any]:
            outputs, after = model.stateless_call(trained, rest, images, training=True)
            if not isinstance(stretch.losses, dict):
                return stretch.losses(targets, outputs), after
            parts = [stretch.weights[name] * loss(targets[name], outputs[name]) for name, loss in stretch.losses.items()]
            return sum(parts), after

        (loss, rest), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained)
        trained, optimizing = optimizer.stateless_apply(optimizing, gradients, trained)
        return (list(trained), list(rest), list(optimizing)), loss

    state, losses = jax.lax.scan(step, tuple(list(part) for part in state), jax.random.split(key, stretch.chunk))
    return state, losses.mean()


def predictor(model: keras.Model, batch: int) -> Callable[[Slices], NDArray[np.float32]]:
    """Returns what gives the fracture of C1..C7 in every slice of some necks, ``(n, 7)``; it is compiled once.

    Args:
        model: The network.
        batch: Slices at once.
    """
    variables = tuple([v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables))

    @jax.jit
    def fracture(variables: Any, seen: Any) -> Any:
        images = jnp.moveaxis(seen, 1, -1).astype(jnp.float32) / STEPS
        return model.stateless_call(*variables, images, training=False)[0]["fracture"]

    def predict(slices: Slices) -> NDArray[np.float32]:
        count = len(slices.around)
        padded = np.concatenate([slices.around, np.repeat(slices.around[-1:], -count % batch, axis=0)])
        found = [fracture(variables, slices.grey[padded[i : i + batch]]) for i in range(0, count, batch)]
        return np.concatenate([np.asarray(one, np.float32) for one in found])[:count]

    return predict
