"""The networks that can be made local, by name.

A backbone is built as `Backbone(in_channels, norm, tail)`, says in `title` what people call it and in `field` what kind
of light it predicts, and is called as `backbone(x, mask, image)`, where x is the network's input at the working size
(docs/your-own-backbone.md). Not every one has published weights: `weights.published` knows which have.
"""

from typing import Any

from ranlen.models.backbones.deepupe import DeepUpe
from ranlen.models.backbones.star_dce import StarDce
from ranlen.models.backbones.zero_dce import ZeroDce

BACKBONES: dict[str, type[Any]] = {"deepupe": DeepUpe, "star_dce": StarDce, "zero_dce": ZeroDce}
