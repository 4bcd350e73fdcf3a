"""The one optimiser of the training wing, and how its rate goes."""

import keras

from cspine.training.slices.settings import FitSettings


def optimizer_of(settings: FitSettings, steps: int, factor: float = 1.0) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) with a short warm-up and a cosine down to nothing.

    Args:
        settings: Learning rate and weight decay.
        steps: How many there will be.
        factor: Of the learning rate.
    """
    steps = max(1, steps)
    warm, rate = max(1, steps // 20), settings.learning_rate * factor
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(rate / 100, max(1, steps - warm), alpha=0.0, warmup_target=rate, warmup_steps=warm),
        weight_decay=settings.weight_decay,
        global_clipnorm=5.0,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
