"""The executor of a Ray cluster (``--engine ray``): workers prepare media into the run's store and ask models.

A worker decides nothing and keeps nothing but open models: limits, retries and the journal are the driver's. Actors
rather than Ray Data: rows of a batch whose actor dies would be asked for again, and paid twice.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from aqaudit.core.records import BadInput, PoseSource, Shown
from aqaudit.engine.channel import slipped_out
from aqaudit.engine.executor import PrepareJob, run_job
from aqaudit.engine.preparation import Prepared
from aqaudit.media.cache import MediaStore
from aqaudit.media.poses import Poses
from aqaudit.media.source import SourceCache
from aqaudit.models.call import AskFailed, Call, Cause, Model, Reply
from aqaudit.models.catalog import open_model
from aqaudit.models.settings import ModelEntry

#: Seconds for all workers to start, and to open a model: weights may have to be read over a network.
_START_S = 600.0
#: A worker that was lost is passed over so long where there is another one; it is started again meanwhile.
_AWAY_S = 3.0
#: A clip whose preparation lost so many workers is given up: it may be what ends them.
_LOSSES = 4
#: Sources of each data set that every worker must see when a run starts.
_SAMPLE = 50
#: Seconds to wait for cores that are not free: after them, other jobs are taken to have them.
_SETTLE_S = 5.0
#: Memory for what goes between processes: texts and paths, no media.
_OBJECTS = 128 * 2**20

_VERSION = version("aqaudit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What went wrong on a worker: a failed request, unusable input (no cause), or a disk (``errno``)."""

    message: str
    cause: Cause | None = None
    status: int | None = None
    retry_after_s: float | None = None
    errno: int | None = None

    def error(self) -> Exception:
        """Return it as the exception that it was."""
        if self.errno is not None:
            return OSError(self.errno, self.message)
        if self.cause is None:
            return BadInput(self.message)
        return AskFailed(self.cause, self.message, status=self.status, retry_after_s=self.retry_after_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlace:
    """Where the driver works, so that relative paths mean the same to a worker, and what a worker must find there.

    ``estimates`` is the folder of estimated poses, None where the study estimates none. ``tokens`` are files that the
    driver has just written, ``files`` sources with their sizes in bytes (None for a folder).
    """

    version: str
    folder: Path
    media: Path
    pose: PoseSource
    estimates: Path | None
    tokens: Sequence[Path] = ()
    files: Sequence[tuple[Path, int | None]] = ()


class Worker:
    """One process of the cluster; its methods run side by side in one event loop."""

    def __init__(self, place: WorkerPlace) -> None:
        with suppress(OSError):
            os.chdir(place.folder)
        self._store = MediaStore(place.media)
        self._poses = Poses(SourceCache(None), place.pose, place.estimates)
        self._models: dict[str, Model] = {}

    async def open(self, name: str, entry: ModelEntry) -> str | Trouble:
        """Open a model for asking; return its endpoint."""
        try:
            return self._opened(name, entry).endpoint
        except BadInput as error:
            return Trouble(message=f"worker on {socket.gethostname()}: {error}")
        except Exception as error:  # noqa: BLE001 - see the module's word on messages
            return Trouble(message=f"worker on {socket.gethostname()}: models.{name}: {type(error).__name__}")

    def _opened(self, name: str, entry: ModelEntry) -> Model:
        if name not in self._models:
            self._models[name] = open_model(name, entry)
        return self._models[name]

    async def look(self, place: WorkerPlace) -> Trouble | None:
        """See whether this machine sees the driver's files and may write beside them."""
        host = socket.gethostname()
        if place.version != _VERSION:
            return Trouble(message=f"worker on {host}: has aqaudit {_VERSION}, this is {place.version}")
        for path in place.tokens:
            if not path.is_file():
                return Trouble(message=_unseen(host, path.parent.parent))
        for path, size in place.files:
            if not (path.is_dir() if size is None else path.is_file() and path.stat().st_size == size):
                return Trouble(message=_unseen(host, path))
        try:
            self._store.put(place.version.encode(), "text/plain").path.unlink(missing_ok=True)
        except OSError as error:
            return Trouble(message=f"worker on {host}: cannot write to {place.media}: {error.strerror or error}")
        return None

    async def prepare(self, job: PrepareJob) -> dict[str, Shown] | Trouble:
        """Prepare media into the store of the run."""
        try:
            return await to_thread.run_sync(run_job, job, self._store, self._poses)
        except BadInput as error:
            return Trouble(message=str(error))
        except OSError as error:
            return Trouble(message=error.strerror or type(error).__name__, errno=error.errno or 5)
        except Exception as error:  # noqa: BLE001 - it costs this request only
            return Trouble(cause="internal", message=f"{type(error).__name__} while its media were prepared")

    async def ask(self, name: str, entry: ModelEntry, call: Call) -> Reply | Trouble:
        """Ask a model once."""
        try:
            return await self._opened(name, entry).ask(call)
        except BadInput as error:
            return Trouble(cause="internal", message=str(error))
        except Exception as error:  # noqa: BLE001 - see the module's word on messages
            failed = error if isinstance(error, AskFailed) else slipped_out(error, name, entry.timeout_s)
            return Trouble(
                cause=failed.cause, message=failed.message, status=failed.status, retry_after_s=failed.retry_after_s
            )

    async def close(self) -> None:
        """Close the connections of all models."""
        for model in self._models.values():
            with suppress(Exception):
                await model.aclose()


def _unseen(host: str, path: Path) -> str:
    return (
        f"worker on {host}: does not see {path.absolute()} as this machine does; --engine ray needs the output folder "
        "and the data at the same path on every machine (a shared file system)"
    )


# Ray's own clusters report on themselves to its makers, unless told not to.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# What Ray will do by default; left unset, it warns of that on every start.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

try:
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError
except ImportError:
    raise BadInput("--engine ray needs Ray: pip install 'aqaudit[ray]'") from None


class _LostError(Exception):
    """The worker, or its machine, went away before it was done."""


@dataclass(slots=True)
class _Hand:
    """A worker as the driver knows it: how many calls it has open, and until when it is passed over."""

    actor: Any
    open: int = 0
    away_until: float = 0.0


class _Actors:
    """Workers alike; each call goes to the one with the fewest open calls."""

    def __init__(self, place: WorkerPlace, size: int, **resources: Any) -> None:
        # A worker that dies is started again; its calls are not, the run decides about them.
        hire = ray.remote(Worker).options(max_restarts=-1, max_task_retries=0, **resources)
        self.hands = [_Hand(hire.remote(place)) for _ in range(size)]

    def all(self, method: str, *args: object) -> list[Any]:
        """Let every worker do something and wait for it; used before anything is asked."""
        try:
            done = ray.get([getattr(hand.actor, method).remote(*args) for hand in self.hands], timeout=_START_S)
        except GetTimeoutError:
            raise BadInput(f"--engine ray: the cluster gave no workers within {_START_S:.0f} s") from None
        except RayError as error:
            raise BadInput(f"--engine ray: a worker cannot be started: {_kind(error)}; is the same AQAudit installed "
                           "on every machine of the cluster?") from None  # fmt: skip
        for one in done:
            if isinstance(one, Trouble):
                raise one.error()
        return list(done)

    async def one(self, method: str, *args: object) -> Any:
        """Let the least busy worker do something; :class:`_LostError` where it dies before it is done."""
        now = time.monotonic()
        hand = min(self.hands, key=lambda hand: (hand.away_until > now, hand.open))
        hand.open += 1
        task = getattr(hand.actor, method).remote(*args)
        try:
            done = await task
        except anyio.get_cancelled_exc_class():
            ray.cancel(task)
            raise
        except RayTaskError as error:
            raise AskFailed("internal", f"{_kind(error)} in a worker") from None
        except RayError:
            hand.away_until = time.monotonic() + _AWAY_S
            raise _LostError from None
        finally:
            hand.open -= 1
        if isinstance(done, Trouble):
            raise done.error()
        return done

    async def close(self) -> None:
        """Close the connections of every worker that is there."""
        for task in [hand.actor.close.remote() for hand in self.hands]:
            with suppress(RayError):
                await task


def _free(what: str) -> int:
    """Return how many cores or GPUs are free; what an earlier job has just given back may take a moment to show."""
    deadline = time.monotonic() + _SETTLE_S
    while (free := ray.available_resources().get(what, 0)) < ray.cluster_resources().get(what, 0):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return int(free)


def _kind(error: RayError) -> str:
    return type(getattr(error, "cause", None) or error).__name__


class _RemoteModel:
    """A model that is asked by workers; see :class:`~aqaudit.models.call.Model`."""

    def __init__(self, name: str, entry: ModelEntry, pool: _Actors) -> None:
        self._name, self._entry, self._pool = name, entry, pool
        self.endpoint: str = pool.all("open", name, entry)[0]

    async def ask(self, call: Call) -> Reply:
        try:
            reply: Reply = await self._pool.one("ask", self._name, self._entry, call)
        except _LostError:
            raise AskFailed("connection", "a worker of the cluster was lost before its reply came") from None
        return reply

    async def aclose(self) -> None:
        await self._pool.close()


class RayExecutor:
    """The executor of a cluster: a worker for each free core, and for models of provider ``hf`` one for each free GPU.

    Where the cluster has no GPU, models of ``hf`` get one worker a machine.
    """

    def __init__(self, prepared: Prepared) -> None:
        out = prepared.options.out.absolute()
        self.media = out / "media"
        self._plan = prepared.plan
        estimates = prepared.poses.estimates
        self._place = WorkerPlace(
            version=_VERSION,
            folder=out.cwd(),
            media=self.media,
            pose=prepared.study.spec.pose,
            estimates=None if estimates is None else estimates.absolute(),
        )
        cores = _free("CPU")
        if not cores:
            raise BadInput("--engine ray: no core of the cluster is free; wait for its other jobs, or add machines")
        self._cores = _Actors(self._place, cores, num_cpus=1)
        self._large: _Actors | None = None
        self._turns = anyio.CapacityLimiter(cores)

    def open(self, name: str, entry: ModelEntry) -> Model:
        """Open a model on every worker that is to ask it; one with weights is loaded once by each."""
        return _RemoteModel(name, entry, self._pool(entry))

    def _pool(self, entry: ModelEntry) -> _Actors:
        if entry.provider != "hf":
            return self._cores
        if self._large is None:
            if gpus := _free("GPU"):
                self._large = _Actors(self._place, gpus, num_cpus=0, num_gpus=1)
            else:
                machines = sum(bool(node["Alive"]) for node in ray.nodes())
                self._large = _Actors(self._place, machines, num_cpus=0, scheduling_strategy="SPREAD")
        return self._large

    def width(self, entry: ModelEntry) -> int:
        """Return the model's own limit; for one in process, that of each worker which holds it."""
        in_process = entry.destination()[0] == "in process"
        return entry.concurrency * (len(self._pool(entry).hands) if in_process else 1)

    def begin(self) -> None:
        """See that every worker sees the output folder, the data and the estimated poses as this process does."""
        folders = (self.media, self._place.estimates)
        tokens = [folder / "at" / f".{uuid.uuid4().hex}.part" for folder in folders if folder]
        seen = replace(self._place, tokens=tokens, files=list(self._files()))
        try:
            for token in tokens:
                token.parent.mkdir(parents=True, exist_ok=True)
                token.touch()
            for pool in filter(None, (self._cores, self._large)):
                pool.all("look", seen)
        except OSError as error:
            raise BadInput(f"{self.media}: cannot be written to: {error.strerror}; choose another --out") from None
        finally:
            for token in tokens:
                token.unlink(missing_ok=True)
                with suppress(OSError):
                    token.parent.rmdir()

    def _files(self) -> Iterator[tuple[Path, int | None]]:
        for planned in self._plan.datasets:
            for performance in islice(planned.dataset.performances, _SAMPLE):
                for path in filter(None, (performance.media, performance.pose)):
                    with suppress(OSError):  # gone since it was planned: its own requests will say so
                        yield path, None if path.is_dir() else path.stat().st_size

    async def prepare(self, job: PrepareJob) -> dict[str, Shown]:
        """Prepare media on a worker; on another one where it is lost."""
        async with self._turns:
            for _ in range(_LOSSES):
                try:
                    made: dict[str, Shown] = await self._cores.one("prepare", job)
                except _LostError:
                    await anyio.sleep(_AWAY_S)
                else:
                    return made
        raise BadInput(f"{job.performance.media}: {_LOSSES} workers of the cluster were lost while they prepared it")

    def dismiss(self) -> None:
        """End all workers."""
        pools: Sequence[_Actors | None] = (self._cores, self._large)
        for hand in (hand for pool in pools if pool for hand in pool.hands):
            with suppress(RayError):
                ray.kill(hand.actor)


@contextmanager
def workers(prepared: Prepared) -> Iterator[RayExecutor]:
    """Hire workers of the cluster that ``RAY_ADDRESS`` names, or of one that is started on this machine for the run.

    A cluster that this process is connected to already is used as it is.

    Raises
    ------
    BadInput
        There is no such cluster, or no core of it is free.
    """
    own = not ray.is_initialized()
    if own:
        _connect(os.environ.get("RAY_ADDRESS", "").strip())
    try:
        executor = RayExecutor(prepared)
        try:
            yield executor
        finally:
            executor.dismiss()
    finally:
        if own:
            ray.shutdown()


def _connect(address: str) -> None:
    if address.startswith("ray://"):
        raise BadInput("RAY_ADDRESS: starts with ray://; run on a machine of the cluster, with RAY_ADDRESS=auto or the "
                       "head's host:port")  # fmt: skip
    local: dict[str, Any] = {} if address and address != "local" else {
        "include_dashboard": False, "object_store_memory": _OBJECTS,
    }  # fmt: skip
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="error", **local)
    except (ConnectionError, ValueError, RuntimeError, RayError) as error:
        what = f"no cluster at RAY_ADDRESS={address}" if address else "a cluster on this machine cannot be started"
        raise BadInput(f"--engine ray: {what}: {type(error).__name__}") from None
