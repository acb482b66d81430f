import gc

gc.threshold(4096)  # while loading, collect often: what stays then lies close together
import pigtail.app  # noqa: E402

pigtail.app.main()
