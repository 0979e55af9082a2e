#!/usr/bin/env bash
# Runs a command as on a processor without AVX-512: as_avx2.sh COMMAND [ARG ...]
# torch, oneDNN (torch's and vLLM's) and MKL are told by environment; vLLM's extension by avx2/sitecustomize.py.
here=$(cd "$(dirname "$0")" && pwd)
export ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
export PYTHONPATH="$here/avx2${PYTHONPATH:+:$PYTHONPATH}"
exec "$@"
