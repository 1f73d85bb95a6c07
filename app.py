"""The page: `python app.py` here, or the entry of a Hugging Face Space."""

import os
import tempfile

if __name__ == "__main__":
    # Uploads and results live in one private folder that goes when the server does. Nothing calls home.
    files = tempfile.TemporaryDirectory(prefix="ranlen-")
    os.environ["GRADIO_TEMP_DIR"] = files.name
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

    from demo.ui import launch

    launch()
