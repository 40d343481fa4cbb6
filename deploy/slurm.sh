#!/usr/bin/env bash
# sbatch deploy/slurm.sh: evaluates 50,000 samples on every GPU of two machines, then merges.
#
# Each task takes its share of the sample numbers from SLURM_PROCID and SLURM_NTASKS, and the GPU of its
# number on its machine. A task that was cut off continues when the script is submitted again.
#SBATCH --job-name=adadiff-evaluate
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
set -euo pipefail

program=${PROGRAM:-target/release/cifar10}
checkpoint=${CHECKPOINT:?the weights, as train and import write them}
inception=${INCEPTION:?pt_inception-2015-12-05-6726825d.pth of pytorch-fid}
reference=${REFERENCE:?statistics of the training images, as the command reference writes them}
out=${OUT:-runs/evaluate}

# --gpus-per-task shows each task its own GPU as number 0.
srun "$program" evaluate --device cuda --checkpoint "$checkpoint" --inception "$inception" \
  --samples 50000 --out "$out"
"$program" merge "$out" --reference "$reference"
