"""Providers that plug-ins offer under the entry point group ``aqaudit.models``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit import plugins
from aqaudit.records import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from aqaudit.models.call import Model
    from aqaudit.models.catalog import ModelEntry

GROUP = "aqaudit.models"
#: Settings that any provider may have: they are AQAudit's own business.
_ALWAYS = frozenset({"base_url", "api_key_env", "usd_per_mtok"})
BUILT_IN = ("openai", "google", "hf", "onnx", "observer", "simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A way to reach models; the name of its entry point is what a study writes as ``provider``.

    ``open(name, entry)`` returns the model of one ``[models.NAME]`` (see :class:`aqaudit.models.call.Model`).
    ``leaves_machine`` says whether what is asked leaves this machine; where an entry gives a ``base_url``, its address
    decides instead. ``settings`` are the keys of the entry, besides those of sampling and pace, that it honours: a
    study that sets another one is refused.
    """

    open: Callable[[str, ModelEntry], Model]
    leaves_machine: bool
    settings: tuple[str, ...] = ()


def names() -> tuple[str, ...]:
    """Return the names of the providers that plug-ins offer; nothing is loaded."""
    return tuple(name for name in plugins.points(GROUP) if name not in BUILT_IN)


def plugged(name: str) -> Provider:
    """Return the provider of a plug-in.

    Raises
    ------
    BadInput
        It does not load, or is no provider.
    """
    if complaint := plugins.taken(GROUP, name, BUILT_IN):
        raise complaint
    offered = plugins.load(GROUP, name)
    if not isinstance(offered, Provider):
        raise plugins.wrong(GROUP, name, offered, "an aqaudit.models.plugged.Provider")
    return offered


def known(name: str) -> str:
    """Return the name of a provider that there is.

    Raises
    ------
    BadInput
        There is none of this name, or its plug-in does not load.
    """
    if name not in BUILT_IN:
        if name not in names():
            raise BadInput(f"{name!r} is not allowed{nearest(name, (*BUILT_IN, *names()))}")
        plugged(name)
    return name


def able(provider: str, key: str) -> frozenset[str]:
    """Return the provider of a plug-in as a set where it honours a key, else the empty set."""
    if provider in BUILT_IN or key not in {*_ALWAYS, *plugged(provider).settings}:
        return frozenset()
    return frozenset({provider})


def destination(provider: str) -> tuple[str, bool]:
    """Return where the calls of a plug-in go that was given no address, and whether that is off this machine."""
    leaves = plugged(provider).leaves_machine
    return (f"where the plug-in {provider} sends it", True) if leaves else ("in process", False)
