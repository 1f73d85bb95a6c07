"""The page: `python app.py` here, or the entry of a Hugging Face Space."""

import os

if __name__ == "__main__":
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # nothing calls home

    from demo import memory
    from demo.temp_files import private_folder

    memory.few_arenas()

    with private_folder() as files:  # uploads and results live here, and go when the server does
        os.environ["GRADIO_TEMP_DIR"] = str(files)

        from demo.ui import launch

        launch()
