"""The networks that can be made local, by name.

A backbone is built as `Backbone(in_channels, norm, tail)`, names the kind of light it predicts in `field`, and is
called as `backbone(x, mask, image)`, where x is the network's input at the working size (CONTRIBUTING.md, "Add a
backbone in four steps").
"""

from ranlen.backbones.deepupe import DeepUpe
from ranlen.backbones.star_dce import StarDce

BACKBONES = {"deepupe": DeepUpe, "star_dce": StarDce}
