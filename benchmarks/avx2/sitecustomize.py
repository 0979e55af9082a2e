"""Hides AVX-512 and AMX from torch and from vLLM's choice of its extension; `benchmarks/as_avx2.sh` puts this first.

vLLM asks `torch.cpu` what the processor has and loads `_C_AVX2` where that names no AVX-512. torch itself, oneDNN and
MKL read environment variables, which the script sets. Nothing here makes a processor slower than it is.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

HIDDEN = ("avx512", "amx", "avx10", "avx_vnni_int8")


class _AfterTorchCpu(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):  # noqa: ANN001, ANN202
        if name != "torch.cpu":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader = spec.loader
        execute = loader.exec_module

        def and_hide(module: ModuleType) -> None:
            execute(module)
            real = module.get_capabilities
            module.get_capabilities = lambda: {
                key: value for key, value in real().items() if not key.startswith(HIDDEN)
            }

        loader.exec_module = and_hide
        return spec


sys.meta_path.insert(0, _AfterTorchCpu())
