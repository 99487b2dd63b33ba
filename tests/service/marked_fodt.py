"""A FODT with a marker word in each place; see marked_odt."""

from marked_odt import TEXT_UNSEEN as UNSEEN
from marked_odt import marked_flat as marked

__all__ = ["UNSEEN", "marked"]
