"""From a predicted light to pixels: light fields, and the same at the size of a photo."""
