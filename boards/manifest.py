# What is frozen into the MicroPython of every board: all that the port has, and pigtail. A slot on flash comes before it.
include("$(PORT_DIR)/boards/manifest.py")
package("pigtail", base_path="../firmware", opt=3)
module("fallback.py", base_path="../firmware", opt=3)
module("pair.py", base_path="../firmware", opt=3)
module("recovery.py", base_path="../firmware/frozen", opt=3)
module("chip.py", opt=3)
require("umqtt.simple")
