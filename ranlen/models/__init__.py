"""The networks: layers that take a mask, backbones, methods, and weights with where they come from."""
