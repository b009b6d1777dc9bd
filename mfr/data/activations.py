"""For the modules that still import it; goes when the last of them imports `mfr.data.store` and `mfr.data.language`."""
from .language import *  # noqa: F403
from .language import CaptureConfig as StoreConfig
from .language import capture_to_store as store
from .store import *  # noqa: F403

Batch = object
