"""Weights from the Hugging Face Hub: a copy that is here first, and one line when there is neither copy nor network."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

FILE, GRAPH = "model.safetensors", "model.onnx"  # of a repository; some have no graph
SECONDS = 10.0  # that a Hub may take to answer


class HubError(ValueError):
    """A repository that cannot be had; the message says why and what to do."""


def is_repository(name: str) -> bool:
    """Whether a name can only be a repository's, `user/repo`."""
    return bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name)) and not name.endswith(".safetensors")


def download(repository: str, revision: str | None = None) -> Path:
    """The file of weights in a repository, its graph beside it if there is one.

    What is in the cache is taken without asking the network.

    Args:
        repository: `user/repo`.
        revision: a branch, a tag or, to be sure of what comes, a commit; none: the main branch.

    Raises:
        HubError: no such repository, revision or file, no access, no network, or no `huggingface_hub`.
    """
    try:
        from huggingface_hub import errors as hub
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise HubError(
            f"{repository} is on the Hugging Face Hub, which needs one package more: pip install 'ranlen[hub]'"
        ) from None
    what = f"{repository}, revision {revision}," if revision else repository
    try:
        return Path(hf_hub_download(repository, FILE, revision=revision, local_files_only=True))
    except hub.LocalEntryNotFoundError:
        pass  # not here yet
    try:
        path = Path(hf_hub_download(repository, FILE, revision=revision, etag_timeout=SECONDS))
        with suppress(hub.EntryNotFoundError):  # its commit's, in the same folder
            hf_hub_download(repository, GRAPH, revision=path.parent.name, etag_timeout=SECONDS)
        return path
    except hub.GatedRepoError:
        raise HubError(f"{repository} wants its conditions accepted first: on its page, then `hf auth login`") from None
    except hub.RepositoryNotFoundError:
        raise HubError(
            f"there is no {repository} here or on the Hub; if it is private, `hf auth login` first"
        ) from None
    except hub.RevisionNotFoundError:
        raise HubError(f"{repository} has no revision {revision}") from None
    except hub.LocalEntryNotFoundError:
        raise HubError(
            f"{what} is not on this machine and the Hub cannot be reached; connect once, or name a file"
        ) from None
    except hub.EntryNotFoundError:
        raise HubError(f"{what} holds no {FILE}: it was not written by `python -m train.push`") from None
    except Exception as error:  # which client it uses, and what that raises, changes with its version
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise HubError(f"{what} could not be had from the Hub: {reason}") from None
