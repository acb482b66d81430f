import gc
import sys

gc.threshold(4096)  # while loading, collect often: what stays then lies close together
try:
    import pigtail.app
except Exception as error:
    sys.modules.clear()  # there is memory again
    gc.collect()
    import fallback

    fallback.restart(error)

pigtail.app.main()
