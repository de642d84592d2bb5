"""PEFT's LoRA layers with fewer operations a call: the same function, gradients written out.

On a CPU a short row's forward pass is bound by the number of operations, not by their size. PEFT
casts the input to the adapter's float32 and back, and leaves scaling, additions and casts to
autograd one by one. Here a layer is two small products and one large, in the base's dtype (that is
what autocast would compute in, too), and the adapter's gradients are gathered in float32.
"""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear


class _Adapted(torch.autograd.Function):
    """``x W' + c + s (x A') B'`` with W and c frozen (Hu et al. 2021, equation 3)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        frozen: tuple[Tensor, Tensor | None],
        a: Tensor,
        b: Tensor,
        scale: float,
    ) -> Tensor:
        weight, bias = frozen
        flat, small_a = x.reshape(-1, x.shape[-1]), a.to(x.dtype)
        scaled_b = (b * scale).to(x.dtype)
        inner = flat @ small_a.T
        out = linear(flat, weight, bias).addmm_(inner, scaled_b.T)
        ctx.save_for_backward(flat, inner, weight, small_a, scaled_b)
        ctx.scale, ctx.shape, ctx.kinds = scale, x.shape, (a.dtype, b.dtype)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        flat, inner, weight, small_a, scaled_b = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        through = grad @ scaled_b
        grad_b = (grad.T @ inner).to(ctx.kinds[1]).mul_(ctx.scale)
        grad_a = (through.T @ flat).to(ctx.kinds[0])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).addmm_(through, small_a).view(ctx.shape)
        return grad_x, None, grad_a, grad_b, None


def patch_lora_forward(model: Any) -> bool:
    """Give plain LoRA layers the short form; return whether every adapted layer has it.

    Left as they are: layers with dropout, DoRA, a bias of the adapter's own, or of another kind
    than a linear one.
    """
    layers = [m for m in model.modules() if hasattr(m, "lora_A") and hasattr(m, "base_layer")]
    plain = [layer for layer in layers if _is_plain(layer)]
    for layer in plain:
        layer.forward = functools.partial(_forward, layer, type(layer).forward)
    return len(plain) == len(layers)


def _forward(layer: Any, slow: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    base = layer.base_layer
    if layer.disable_adapters or layer.merged or args or kwargs or x.dtype != base.weight.dtype:
        return slow(layer, x, *args, **kwargs)
    (name,) = layer.active_adapters
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    frozen = (base.weight, base.bias)
    return _Adapted.apply(x, frozen, a, b, layer.scaling[name])  # type: ignore[no-untyped-call]


def _is_plain(layer: Any) -> bool:
    from peft.tuners.lora.layer import Linear

    if type(layer) is not Linear or type(layer.base_layer) is not torch.nn.Linear:
        return False
    (name, *more) = layer.active_adapters
    still = isinstance(layer.lora_dropout[name], torch.nn.Identity)
    own_bias = layer.lora_B[name].bias is not None
    return not more and still and not own_bias and name not in layer.lora_variant
