"""Names in the files that the two sides exchange."""

WEIGHTS = "weights.safetensors"
INPUTS = "inputs.safetensors"
OPENVINO_MODEL = "network.xml"

GAUSSIANS = ["mean_a", "covariance_a", "mean_b", "covariance_b"]

# Tensors of every kind, from both ends of the network; the Rust side returns the same.
COMPARED_GRADIENTS = [
    "pos_embed",
    "patch_embed.proj.weight",
    "in_blocks.0.attn.qkv.weight",
    "mid_block.norm2.weight",
    "out_blocks.0.skip_linear.weight",
    "decoder_pred.bias",
]

# A weight that shows what the optimizer did.
OPTIMIZED_WEIGHT = "in_blocks.0.attn.qkv.weight"


def outputs(side: str) -> str:
    """The file of what a side computed."""
    return f"{side}.safetensors"
