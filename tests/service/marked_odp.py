"""An ODP with a marker word in each place; see marked_odt."""

from marked_odt import SLIDE_UNSEEN as UNSEEN
from marked_odt import marked_slides as marked

__all__ = ["UNSEEN", "marked"]
