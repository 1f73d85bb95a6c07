"""The page's own files, `demo/page/`: its modules as they are served, its HTML and styles as Gradio takes them.

There is no step to build them. A module's address holds a digest of all of them, so that a browser keeps them for good
and never mixes those from before an update with those from after it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGE = Path(__file__).parent / "page"
STYLES = ("frame", "stage", "panel", "compare", "narrow")  # in this order
AROUND = PAGE / "styles" / "page.css"  # the style of what Gradio lays around the page
MODULES = {path.name: path.read_bytes() for path in sorted(PAGE.glob("*.js"))}
VERSION = hashlib.sha256(b"\0".join(MODULES.values())).hexdigest()[:16]
PAGES = "gradio_api/page"  # under what Gradio's Node server, too, leaves to Python
FOLDER = f"{PAGES}/{VERSION}"

QUESTIONS = ("open", "edit", "compare", "save", "loadmask")  # which Gradio looks for, in quotes, in the text below
# `import()` in a text of Gradio's needs a whole address; the page may lie below the root of its host.
ON_LOAD = f"""/* asks {QUESTIONS} */
const root = (window.gradio_config?.root ?? '').replace(/\\/$/, '');
import(new URL(`${{root}}/{FOLDER}/main.js`, document.baseURI))
  .then((page) => page.start({{ element, props }}));"""
# All at once, beside Gradio's own; otherwise they would be found one after the other, when that has been run.
HEAD = "".join(f'<link rel="modulepreload" href="{FOLDER}/{name}">' for name in MODULES)


def html() -> str:
    """The page without its photo."""
    return (PAGE / "page.html").read_text(encoding="utf-8")


def css() -> str:
    """Its styles."""
    return "\n".join((PAGE / "styles" / f"{name}.css").read_text(encoding="utf-8") for name in STYLES)


def module(request: Request) -> Response:
    """One module: JavaScript by name, whatever this machine takes its ending for."""
    name = request.path_params["name"]
    if request.path_params["version"] != VERSION or name not in MODULES:
        return Response("no such module; open the page again", status_code=404, media_type="text/plain")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(MODULES[name], media_type="text/javascript", headers=headers)


ROUTES = [Route(f"/{PAGES}/{{version}}/{{name}}", module)]
