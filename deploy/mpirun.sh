#!/usr/bin/env bash
# deploy/mpirun.sh PROGRAM PROCESSES OUT EVALUATE-OPTIONS...: evaluates with Open MPI's mpirun.
#
# For example, on the GPUs of this machine:
#   deploy/mpirun.sh target/release/cifar10 4 runs/evaluate --device cuda --device-by-rank \
#     --checkpoint weights.safetensors --inception pt_inception-2015-12-05-6726825d.pth --samples 50000
# Then: target/release/cifar10 merge runs/evaluate --reference reference.npz
set -euo pipefail
program=$1 processes=$2 out=$3
shift 3
options=(--oversubscribe)
# Open MPI refuses to run as root unless it is told to, as in a container.
((EUID == 0)) && options+=(--allow-run-as-root)
exec mpirun -n "$processes" "${options[@]}" "$program" evaluate --out "$out" "$@"
