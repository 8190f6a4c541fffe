"""Makes the demo's landing files: public data woven into one year of one retailer. README.md says what is made up."""

from sample_data.demo import make
from sample_data.landing import write_landing
from sample_data.small import small_world

__all__ = ["make", "small_world", "write_landing"]
