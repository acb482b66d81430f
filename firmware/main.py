import gc
import machine
import sys

machine.WDT(timeout=300_000)  # until the firmware has its own
gc.threshold(4096)  # while loading, collect often: what stays then lies close together
try:
    if machine.reset_cause() == 3:  # the watchdog's
        import fallback

        fallback.bitten()
        del fallback, sys.modules["fallback"]
    import pigtail.app
except Exception as error:
    sys.modules.clear()  # there is memory again
    gc.collect()
    import fallback

    fallback.restart(error)

pigtail.app.main()
