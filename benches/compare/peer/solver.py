"""DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2) for the linear VP schedule."""

import math

import torch
from torch import Tensor

BETA_MIN, BETA_MAX = 0.1, 20.0
START, END = 1.0, 1e-3


def log_alpha(time: float) -> float:
    return -0.25 * time**2 * (BETA_MAX - BETA_MIN) - 0.5 * time * BETA_MIN


def sigma(time: float) -> float:
    return math.sqrt(-math.expm1(2 * log_alpha(time)))


def log_snr(time: float) -> float:
    """`lambda(t) = ln(alpha(t) / sigma(t))`."""
    return log_alpha(time) - math.log(sigma(time))


def time_of_log_snr(value: float) -> float:
    rest = 2 * math.log1p(math.exp(-2 * value))  # -4 ln alpha
    slope = BETA_MAX - BETA_MIN
    return rest / (math.sqrt(BETA_MIN**2 + slope * rest) + BETA_MIN)


def times(steps: int) -> list[float]:
    first, last = log_snr(START), log_snr(END)
    inner = [time_of_log_snr(first + (last - first) * i / steps) for i in range(1, steps)]
    return [START, *inner, END]


def sample(predict, state: Tensor, steps: int) -> Tensor:
    """Takes `state`, pure noise, to the images; `predict(state, timesteps)` gives the noise."""
    grid = times(steps)
    before = None
    for t, s in zip(grid, grid[1:]):
        timesteps = torch.full((state.shape[0],), 999.0 * t)
        noise = predict(state, timesteps)
        data = (state - sigma(t) * noise) / math.exp(log_alpha(t))
        step = log_snr(s) - log_snr(t)
        direction = data
        if before is not None:
            past, earlier = before
            half = 0.5 * step / (log_snr(t) - log_snr(earlier))
            direction = (1 + half) * data - half * past
        before = data, t
        scale = -math.exp(log_alpha(s)) * math.expm1(-step)
        state = (sigma(s) / sigma(t)) * state + scale * direction
    return state
