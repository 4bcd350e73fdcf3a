"""Batch normalisation that trains fast on a processor."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="cspine")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation (Ioffe and Szegedy, 2015) whose training step is one kernel of the framework, in its number type.

    Keras makes a training step of several passes over memory in float32, whatever a network calculates in, and a backbone has a
    hundred such layers. TensorFlow and PyTorch have the same as one kernel, which :meth:`call` uses on inputs with channels last;
    in inference only in half precision, where it is faster. Otherwise the layer is that of Keras.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Returns the normalised inputs, of the same shape; in training the moving averages follow."""
        kernels = _KERNELS.get(keras.backend.backend())
        known = len(inputs.shape) == 4 and self.axis in (-1, 3) and mask is None and not self.renorm
        learning = bool(training) and self.trainable
        if not (kernels and known and (learning or self.compute_dtype != "float32")):
            return super().call(inputs, training=training, mask=mask)
        gamma = ops.cast(self.gamma, "float32") if self.scale else ops.ones((inputs.shape[-1],), "float32")
        beta = ops.cast(self.beta, "float32") if self.center else ops.zeros((inputs.shape[-1],), "float32")
        kernel, fixed = kernels
        if not learning:
            mean, variance = (ops.cast(moving, "float32") for moving in (self.moving_mean, self.moving_variance))
            return fixed(inputs, gamma, beta, mean, variance, self.epsilon)
        outputs, mean, variance = kernel(inputs, gamma, beta, self.epsilon)
        for moving, found in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + ops.cast(ops.stop_gradient(found), moving.dtype) * (1 - self.momentum))
        return outputs


def _on_tensorflow(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)  # the kernel gives the variance of a sample
    return outputs, mean, variance * (count - 1) / count


def _fixed_on_tensorflow(inputs: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float) -> Any:
    import tensorflow as tf

    return tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    )[0]


def _on_torch(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    import torch  # type: ignore[import-not-found,unused-ignore]

    outputs, mean, inverse = torch.native_batch_norm(inputs.permute(0, 3, 1, 2), gamma, beta, None, None, True, 0.0, epsilon)
    return outputs.permute(0, 2, 3, 1), mean, inverse.pow(-2) - epsilon


def _fixed_on_torch(inputs: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float) -> Any:
    import torch

    found = torch.native_batch_norm(inputs.permute(0, 3, 1, 2), gamma, beta, mean, variance, False, 0.0, epsilon)[0]
    return found.permute(0, 2, 3, 1)


_KERNELS = {"tensorflow": (_on_tensorflow, _fixed_on_tensorflow), "torch": (_on_torch, _fixed_on_torch)}
"""By framework: of a training step, and of inference."""
