"""Draws the pictures of gallery.md that no other script draws, into docs/gallery: `python docs/make_gallery.py`, a minute."""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

import freeness as fr
from freeness.cli import app
from freeness.show import plot_law

FOLDER = Path(__file__).resolve().parent / "gallery"
COMMANDS = {
    "anticommutator": ("law", "x*y + y*x", "--x", "semicircle", "--y", "mp:1", "--sample", "1000"),
    "product": ("law", "mp:1 * projection:0.3", "--sample", "1000"),
    "phase": ("phase", "--activation", "tanh", "--at", "1.5,0.2"),
    "trade-off": ("design", "--depth", "50", "--activation", "tanh", "--isometry", "0.25"),
}
DEPTHS = (4, 16, 64)


def depths() -> Figure:
    """JJᵀ of hard-tanh networks of three depths at σ_JJ² = 1/2."""
    figure = Figure(figsize=(17, 4.2), layout="constrained")
    for axes, depth in zip(figure.subplots(1, len(DEPTHS)), DEPTHS, strict=True):
        plan = fr.design(depth, 512, "hardtanh", isometry=0.5)
        network = fr.mlp(depth, 512, "hardtanh", "haar", sigma_w=plan.sigma_w, sigma_b=plan.sigma_b)
        law = fr.jacobian_law(network, qhat0=(plan.q - plan.sigma_b**2) / plan.sigma_w**2)
        plot_law(law, axes, title=f"{depth} layers")
    return figure


def main() -> int:
    """Draw all of them."""
    FOLDER.mkdir(exist_ok=True)
    depths().savefig(FOLDER / "depth.png", dpi=72)
    for name, command in COMMANDS.items():
        app([*command, "--force", "--out", str(FOLDER / f"{name}.png")], standalone_mode=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
