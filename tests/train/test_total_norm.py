from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_the_norm_of_many_small_gradients_is_exact_on_cpu() -> None:
    import torch

    from train.optimizer import total_norm

    generator = torch.Generator().manual_seed(1)
    gradients = [torch.randn(2_000_000, generator=generator), torch.randn(3, 5, generator=generator)]
    exact = sum(float(gradient.double().square().sum()) for gradient in gradients) ** 0.5
    assert float(total_norm(gradients)) == pytest.approx(exact, rel=1e-9)
    gradients[1][0, 0] = torch.nan
    assert not torch.isfinite(total_norm(gradients))
