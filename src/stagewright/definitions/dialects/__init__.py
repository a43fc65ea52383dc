"""Documents of other systems: each loads into a canonical document without being changed."""

from stagewright.definitions.dialects.detect import dialect_of, place_in, translate
from stagewright.definitions.dialects.translation import Translation, name_from

__all__ = ["Translation", "dialect_of", "name_from", "place_in", "translate"]
